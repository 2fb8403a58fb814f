// The event engine as a library of C functions. The same source is compiled once for each family of processors.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <exception>
#include <numeric>
#include <thread>
#include <type_traits>

#include "columns.hpp"
#include "dense.hpp"
#include "events.hpp"
#include "exits.hpp"
#include "layout.hpp"
#include "pixels.hpp"
#include "tables.hpp"

#if defined(__AMX_INT8__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

using namespace transpike;

namespace {

struct Engine {
    Program program;
    std::vector<bool> traced;
    int slots = 0;
    bool keep = false;  // the spikes of a chunk in all stages, for samples that end early

    // How many samples a thread runs together.
    int group(int samples, int threads) const;
    
    std::vector<std::vector<std::unique_ptr<Workspace>>> workspaces;  // of each thread, for each sample of a group
};

std::unique_ptr<Workspace> workspace(const Engine& engine) {
    const Program& program = engine.program;
    auto w = std::make_unique<Workspace>();
    w->bits.resize(engine.slots), w->negatives.resize(engine.slots), w->bytes.resize(engine.slots);
    std::size_t events = 0, columns = 0, ends = 0, taps = 0, waste = 0, patterns = 0;
    for (const Stage& s : program.stages) {
        const bool integer = s.integer();
        if (s.wants_bits && w->bits[s.slot].empty()) w->bits[s.slot] = Buffer<uint8_t>(s.bit_bytes());
        if (s.wants_bits && s.kind == Kind::Ternary && w->negatives[s.slot].empty())
            w->negatives[s.slot] = Buffer<uint8_t>(s.bit_bytes());
        if (s.wants_bytes && w->bytes[s.slot].empty()) w->bytes[s.slot] = Buffer<uint8_t>(s.byte_bytes());
        const std::size_t lanes = lanes_of(s);
        const std::size_t currents = s.settled ? 0 : lanes;
        w->potential.emplace_back(integer ? lanes : 0), w->current.emplace_back(integer ? currents : 0);
        w->float_potential.emplace_back(integer ? 0 : lanes), w->float_current.emplace_back(integer ? 0 : currents);
        w->count.emplace_back(lanes), w->net.emplace_back(s.kind == Kind::Ternary ? lanes : 0);
        if (s.kernel == Kernel::Event) events = std::max(events, std::size_t(s.event_rows) * 2 * CHUNK);
        if (s.kernel == Kernel::Column) {
            std::size_t row_ends;
            const std::size_t row = row_events(program, s, row_ends), rows = band_rows(program, s);
            columns = std::max(columns, row * rows), ends = std::max(ends, row_ends * rows);
        }
#if defined(__AVX512VBMI__)
        if (s.kernel == Kernel::Pixel) patterns = std::max(patterns, pattern_bytes(s));
#endif
        std::size_t here = 0;
        for (const Source& source : s.sources) here += source.diagonal ? std::size_t(source.kh) * source.kw * 2 * 16 : 0;
        taps = std::max(taps, here);
        waste = std::max({waste, s.bit_row(), s.byte_row()});
    }
    w->events = Buffer<uint16_t>(events);
    w->taps = Buffer<uint64_t>(taps * 2 * LINE / sizeof(uint64_t)), w->short_taps = Buffer<uint64_t>(taps * LINE / sizeof(uint64_t));
    w->waste = Buffer<uint8_t>(waste * CHUNK);
    w->scratch = Buffer<int32_t>((1 << 18) / 4 + 4 * 2 * CHUNK * 16);
    w->ends.resize(2 * CHUNK), w->checkpoint.resize(CHUNK);
    w->columns = Buffer<uint16_t>(columns), w->column_ends = Buffer<uint32_t>(ends);
    w->patterns = Buffer<uint8_t>(patterns);
    w->sums = Buffer<int16_t>(CHUNK * 256);
    w->tried.resize(program.stages.size()), w->failed.resize(program.stages.size());
    return w;
}

// Spread the currents of a sample over the lanes of its stage.
void start(const Program& program, const Request& request, Workspace& w, int i, int sample) {
    const Stage& s = program.stages[i];
    if (s.settled) return;
    const bool integer = s.integer();
    const std::size_t size = sample_size(s) * s.pool_h * s.pool_w;
    const float* current = request.currents[i] + (request.current_samples[i] > 1 ? sample * size : 0);
    const int width = s.width * s.pool_w;
    for_lanes(s, [&](std::size_t lane, int y, int x, int c) {
        const float value = current[(std::size_t(y) * width + x) * s.channels + c];
        if (integer) w.current[i][lane] = whole(s, value);
        else w.float_current[i][lane] = value;
    });
}

// Run a stage for samples at the same time steps.
void run_stage(const std::vector<Job>& jobs) {
    switch (jobs.front().program.stages[jobs.front().stage].kernel) {
        case Kernel::Column: return run_columns(jobs);
        case Kernel::Table: return run_tables(jobs);
#if defined(__AVX512VNNI__)
        case Kernel::Dense: return run_dense(jobs);
#endif
#if defined(__AVX512VBMI__)
        case Kernel::Pixel: return run_pixels(jobs);
#endif
        default: return run_events(jobs);
    }
}

void keep_trains(const Job& job) {
    const Stage& s = job.program.stages[job.stage];
    const std::size_t size = sample_size(s);
    for (int t = 0; t < job.steps; t++) {
        uint8_t* out = job.request.trains[job.stage] + (std::size_t(job.begin + t) * job.request.samples + job.sample) * size;
        for (int y = 0; y < s.height; y++)
            for (int x = 0; x < s.width; x++)
                for (int c = 0; c < s.channels; c++) {
                    const std::size_t byte = s.bit_place(y, x) + t * s.bit_row() + c / 8;
                    uint8_t word = job.w.bits[s.slot][byte];
                    if (s.kind == Kind::Ternary) word |= job.w.negatives[s.slot][byte];
                    *out++ = word >> (c % 8) & 1;
                }
    }
}

void keep_nets(const Program& program, const Request& request, Workspace& w, int i, int sample) {
    const Stage& s = program.stages[i];
    float* out = request.nets[i] + std::size_t(sample) * sample_size(s);
    for_lanes(s, [&](std::size_t lane, int y, int x, int c) { out[(std::size_t(y) * s.width + x) * s.channels + c] = float(w.net[i][lane]); });
}

// Number the steps of the chunk from `begin` on after which spikes are counted; its last one too if samples may end in it.
void note_checkpoints(const Request& request, Workspace& w, int begin) {
    std::fill(w.checkpoint.begin(), w.checkpoint.end(), -1);
    if (request.exit_stage >= 0) w.checkpoint[std::min(CHUNK, request.steps - begin) - 1] = request.checkpoints - 1;
    for (int k = 0; k < request.checkpoints; k++)
        if (int t = request.checkpoint_steps[k] - begin - 1; t >= 0 && t < CHUNK) w.checkpoint[t] = k;
}

// Whether samples should take turns at a stage: its weights fill the cache.
bool heavy(const Stage& s) {
    std::size_t bytes = 2 * s.short_rows.size + 4 * (s.long_rows.size + s.float_rows.size);
    for (const Source& source : s.sources) bytes += source.tiles.size;
    return bytes > HEAVY;
}

int Engine::group(int samples, int threads) const {
    const bool pays = std::any_of(program.stages.begin(), program.stages.end(), heavy);
    return pays ? std::max(1, std::min(GROUP, samples / threads)) : 1;
}

// Seconds that this thread has computed, so that others on the processor do not count; elsewhere the time that has passed.
double processor_time() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
    timespec spent;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return double(spent.tv_sec) + 1e-9 * double(spent.tv_nsec);
#else
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
#endif
}

using Spaces = std::vector<std::unique_ptr<Workspace>>;

// Run stages first .. last - 1 for the samples `live` from `sample` on, which all need light weights or all heavy ones.
void run_stages(const Engine& engine, const Request& request, const Spaces& spaces, int sample, const std::vector<int>& live,
                int begin, int first, int last, double* seconds) {
    const bool together = heavy(engine.program.stages[first]);
    const int steps = std::min(CHUNK, request.steps - begin), count = int(live.size()), turns = together ? 1 : count;
    for (int turn = 0; turn < turns; turn++)
        for (int i = first; i < last; i++) {
            std::vector<Job> jobs;
            for (int n = together ? 0 : turn; n < (together ? count : turn + 1); n++)
                jobs.push_back({engine.program, request, *spaces[live[n]], i, sample + live[n], begin, steps});
            const double from = seconds ? processor_time() : 0;
            run_stage(jobs);
            if (seconds) seconds[i] += processor_time() - from;
            if (request.trains[i])
                for (const Job& job : jobs) keep_trains(job);
        }
}

void keep_all_nets(const Program& program, const Request& request, Workspace& w, int sample) {
    for (std::size_t i = 0; i < program.stages.size(); i++)
        if (request.nets[i]) keep_nets(program, request, w, int(i), sample);
}

// Put away those of the samples `live` that the chunk from `begin` on has decided.
void put_away(const Program& program, const Request& request, const Spaces& spaces, int sample, int begin, std::vector<int>& live) {
    const int steps = std::min(CHUNK, request.steps - begin);
    auto decided = [&](int k) {
        const int t = decided_at(program, request, *spaces[k], sample + k, begin, steps);
        if (t < 0) return false;
        keep_all_nets(program, request, *spaces[k], sample + k);
        end_sample(program, request, *spaces[k], sample + k, begin, t, steps);
        return true;
    };
    live.erase(std::remove_if(live.begin(), live.end(), decided), live.end());
}

// Run `count` samples from `sample` on, each in a workspace of its own.
void run_samples(const Engine& engine, const Request& request, const Spaces& spaces, int sample, int count, double* seconds) {
    const Program& program = engine.program;
    const int stages = int(program.stages.size());
    for (int k = 0; k < count; k++)
        for (int i = 0; i < stages; i++) start(program, request, *spaces[k], i, sample + k);
    std::vector<int> live(count);
    std::iota(live.begin(), live.end(), 0);
    for (int begin = 0; begin < request.steps && !live.empty(); begin += CHUNK) {
        for (int k : live) note_checkpoints(request, *spaces[k], begin);
        for (int first = 0, last; first < stages; first = last) {
            for (last = first + 1; last < stages && heavy(program.stages[last]) == heavy(program.stages[first]);) last++;
            run_stages(engine, request, spaces, sample, live, begin, first, last, seconds);
        }
        if (request.exit_stage >= 0) put_away(program, request, spaces, sample, begin, live);
    }
    for (int k : live) keep_all_nets(program, request, *spaces[k], sample + k);
}

void enter() {
#if defined(__AMX_INT8__)
    configure_tiles();
#endif
}

void leave() {
#if defined(__AMX_INT8__)
    _tile_release();
#endif
}

}  // namespace

extern "C" {

// Changes with the functions below, so that a library of another time is not called.
int transpike_interface() { return 5; }

// What this processor has: 1 AVX2, 2 AVX-512 with VNNI and VBMI2, 4 AMX for bytes.
int transpike_features() {
    int found = 0;
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) found |= 1;
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi2") &&
        __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi"))
        found |= 2;
#endif
    return found;
}

// Whether this build can run here, asking the system for what it must grant.
int transpike_enable() {
#if defined(__AMX_INT8__)
    unsigned a, b, c, d;
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(0));
    const bool tiles = (d >> 24 & 1) && (d >> 25 & 1);
    constexpr long request_permission = 0x1023, tile_data = 18;
    return tiles && syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
    return 1;
#endif
}

int transpike_dense() {  // 0: no dense kernel, 1: for unsigned spikes, 2: for all
#if defined(__AMX_INT8__)
    return 2;
#elif defined(__AVX512VNNI__)
    return 1;
#else
    return 0;
#endif
}

void* transpike_new() {
    try {
        return new Engine();
    } catch (const std::exception&) {
        return nullptr;
    }
}

void transpike_delete(void* handle) { delete static_cast<Engine*>(handle); }

// Add a stage; returns its number, -1 without memory. Arrays have [height][width][channels] entries, `bias` bias_rows x channels.
int transpike_stage(void* handle, int kind, const int* shape, double unit, int bias_rows, const float* bias, int delay, int forgives,
                    const float* initial, const float* threshold, const float* retract, int traced) {
    try {
        auto* engine = static_cast<Engine*>(handle);
        Stage s{};
        s.kind = Kind(kind), s.channels = shape[0], s.height = shape[1], s.width = shape[2], s.pool_h = shape[3], s.pool_w = shape[4];
        s.bias_rows = bias_rows, s.delay = delay, s.forgives = forgives != 0, s.unit = unit, s.padded = padded_channels(s.channels);
        const std::size_t size = std::size_t(s.channels) * s.height * s.width;
        if (bias_rows > 1) s.bias.assign(bias, bias + std::size_t(bias_rows) * s.channels);
        if (s.kind != Kind::ReadOut) s.initial.assign(initial, initial + size), s.threshold.assign(threshold, threshold + size);
        if (s.kind == Kind::Ternary) s.retract.assign(retract, retract + size);
        engine->program.stages.push_back(std::move(s));
        engine->traced.push_back(traced != 0);
        return int(engine->program.stages.size()) - 1;
    } catch (const std::exception&) {
        return -1;
    }
}

// Say that the current of a stage is the same for all samples and places: [channels], or null for 0.
void transpike_settle(void* handle, int stage, const float* current) {
    Stage& s = static_cast<Engine*>(handle)->program.stages[stage];
    s.settled = true;
    s.constant.assign(s.channels, 0.0F);
    if (current) s.constant.assign(current, current + s.channels);
}

// Let the potentials of a stage have so many bits, at whose ends they stay, or beyond which they go on at the other end.
void transpike_limit(void* handle, int stage, int bits, int wraps) {
    Stage& s = static_cast<Engine*>(handle)->program.stages[stage];
    s.bits = bits, s.wraps = wraps != 0;
}

// Keep the spikes of all stages until the end of a chunk, so that samples can end early.
void transpike_keep(void* handle) { static_cast<Engine*>(handle)->keep = true; }

// Let a stage listen to an earlier one. geometry: kh, kw, sh, sw, top, left. Returns 0, or -1 without memory.
int transpike_source(void* handle, int stage, int from, const int* geometry, int diagonal, const float* weights) {
    try {
        Program& program = static_cast<Engine*>(handle)->program;
        Stage& s = program.stages.at(stage);
        Source source{};
        source.from = from, source.channels = program.stages.at(from).channels, source.padded = padded_channels(source.channels);
        source.kh = geometry[0], source.kw = geometry[1], source.sh = geometry[2], source.sw = geometry[3];
        source.top = geometry[4], source.left = geometry[5], source.diagonal = diagonal != 0;
        const std::size_t size = std::size_t(s.channels) * (diagonal ? 1 : source.channels) * source.kh * source.kw;
        source.weights.assign(weights, weights + size);
        if (s.integer())
            for (float x : source.weights) s.narrow &= std::abs(double(x) * s.unit) <= NARROW;
        s.sources.push_back(std::move(source));
        return 0;
    } catch (const std::exception&) {
        return -1;
    }
}

// Whether a dense kernel can run a stage.
int transpike_can_be_dense(void* handle, int stage) {
    const Program& program = static_cast<Engine*>(handle)->program;
    const Stage& s = program.stages[stage];
    bool possible = transpike_dense() > 0 && s.integer() && s.narrow && !s.sources.empty();
    for (const Source& source : s.sources)
        possible &= program.stages[source.from].kind != Kind::Ternary || transpike_dense() > 1;
    return possible;
}

// Whether events listed by column can run a stage.
int transpike_can_be_columns(void* handle, int stage) {
    const Stage& s = static_cast<Engine*>(handle)->program.stages[stage];
    Stage trial{};
    trial.height = s.height, trial.width = s.width, trial.pool_h = s.pool_h, trial.pool_w = s.pool_w, trial.padded = s.padded;
    trial.kernel = Kernel::Column;
    choose_tiles(trial);
    return s.integer() && s.narrow && !s.bits && lists_fit(trial, s.sources);  // potentials with limits take the other kernels
}

// Whether tables can run a stage: few channels, and sums that 16 bits hold whatever spikes.
int transpike_can_be_tables(void* handle, int stage) {
    const Program& program = static_cast<Engine*>(handle)->program;
    const Stage& s = program.stages[stage];
    bool possible = s.kind == Kind::Fire && s.integer() && s.narrow && !s.bits && s.padded <= 32;
    if (!possible) return false;
    bool any = false;
    for (const Source& source : s.sources) {
        possible &= source.diagonal || program.stages[source.from].kind == Kind::Fire;
        any |= !source.diagonal;
    }
    const int32_t rest = most_of_rest(s);
    return possible && any && rest <= LARGEST / 2 && most_of_sums(s) <= LARGEST - rest;
}

// Whether pixels abreast can run a stage: what tables can, with the same current everywhere and always, and without a pool.
int transpike_can_be_pixels(void* handle, int stage) {
#if defined(__AVX512VBMI__)
    const Stage& s = static_cast<Engine*>(handle)->program.stages[stage];
    bool possible = transpike_can_be_tables(handle, stage) && s.settled && s.pool_h * s.pool_w == 1 && s.bias_rows <= 1 && s.delay == 0;
    for (const Source& source : s.sources) possible &= source.padded <= 32 && source.sw <= 2;
    return possible;
#else
    (void)handle, (void)stage;
    return 0;
#endif
}

// Choose the kernel of each stage and lay the program out. Returns 0, or -1 without memory.
int transpike_lay_out(void* handle, const int* kernels) {
    try {
        auto* engine = static_cast<Engine*>(handle);
        for (std::size_t i = 0; i < engine->program.stages.size(); i++) engine->program.stages[i].kernel = Kernel(kernels[i]);
        engine->workspaces.clear();
        engine->slots = lay_out(engine->program, engine->traced, engine->keep);
        return 0;
    } catch (const std::exception&) {
        return -1;
    }
}

// Run samples on some threads. `seconds` [stages], if given, gets the time of each stage. Returns 0, or -1 without memory.
int transpike_run(void* handle, const Request* request, double* seconds) {
    auto* engine = static_cast<Engine*>(handle);
    try {
        const int threads = std::max(1, std::min(request->threads, request->samples));
        const int group = engine->group(request->samples, threads);
        while (int(engine->workspaces.size()) < threads) engine->workspaces.emplace_back();
        for (int k = 0; k < threads; k++)
            while (int(engine->workspaces[k].size()) < group) engine->workspaces[k].push_back(workspace(*engine));
        std::atomic<int> next{0};
        auto work = [&](int number) {
            enter();
            for (int sample; (sample = next.fetch_add(group)) < request->samples;)
                run_samples(*engine, *request, engine->workspaces[number], sample, std::min(group, request->samples - sample),
                            threads == 1 ? seconds : nullptr);
            leave();
        };
        std::vector<std::thread> others;
        for (int number = 1; number < threads; number++) others.emplace_back(work, number);
        work(0);
        for (auto& thread : others) thread.join();
        return 0;
    } catch (const std::exception&) {
        return -1;
    }
}

}  // extern "C"
