// The event kernel: for each spike under a tile of neurons, add the row of its weights; then fire.
#pragma once

#include <algorithm>
#include <cmath>

#include "program.hpp"
#include "vectors.hpp"

namespace {

using namespace transpike;


// Write the places of the set bits of `word`, counted from `base`; may write up to 64 numbers past the end.
inline uint16_t* listed(uint64_t word, uint16_t base, uint16_t* out) {
#if defined(__AVX512VBMI2__)
    alignas(64) static const struct Iota {
        uint8_t at[64];
        constexpr Iota() : at() {
            for (int i = 0; i < 64; i++) at[i] = uint8_t(i);
        }
    } iota;
    __m512i packed = _mm512_maskz_compress_epi8(word, _mm512_load_si512(iota.at));
    __m512i first = _mm512_set1_epi16(int16_t(base));
    _mm512_storeu_si512(out, _mm512_add_epi16(first, _mm512_cvtepu8_epi16(_mm512_castsi512_si256(packed))));
    int count = __builtin_popcountll(word);
    if (count > 32)
        _mm512_storeu_si512(out + 32, _mm512_add_epi16(first, _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(packed, 1))));
    return out + count;
#else
    for (; word; word &= word - 1) *out++ = uint16_t(base + __builtin_ctzll(word));
    return out;
#endif
}

// List the spikes of step t under the patch at (y, x) of a source.
inline uint16_t* patch_events(const Source& s, const Stage& from, const uint8_t* planes, int t, int y, int x, uint16_t* out) {
    for (int r = 0; r < s.patch_rows; r++) {
        const uint8_t* p = planes + from.bit_place(y + r, x) + t * from.bit_row();
        unsigned base = s.first_row + r * s.patch_bits;
        for (int bit = 0; bit < s.patch_bits; bit += 64, p += 8) {
            uint64_t word;
            std::memcpy(&word, p, 8);
            if (int left = s.patch_bits - bit; left < 64) word &= (uint64_t(1) << left) - 1;
            if (word) out = listed(word, uint16_t(base + bit), out);
        }
    }
    return out;
}

struct Tile {
    const Stage& stage;
    int y, x;                     // of its first pixel, in the map before pooling
    std::size_t number;           // among the tiles of the stage
};

// List the events of all steps under a tile; ends[2 t] and ends[2 t + 1] are where the positive and negative ones of step t end.
inline void list_events(const Program& program, const Tile& tile, Workspace& w, int steps) {
    uint16_t* out = w.events.get();
    for (int t = 0; t < steps; t++) {
        for (int sign = 0; sign < 2; sign++) {
            for (const Source& s : tile.stage.sources) {
                const Stage& from = program.stages[s.from];
                if (s.diagonal || (sign && from.kind != Kind::Ternary)) continue;
                const auto& planes = sign ? w.negatives[from.slot] : w.bits[from.slot];
                out = patch_events(s, from, planes.get(), t, tile.y * s.sh - s.top, tile.x * s.sw - s.left, out);
            }
            w.ends[2 * t + sign] = uint32_t(out - w.events.get());
        }
    }
}

template <class Lane>
struct Packed;
template <>
struct Packed<int16_t> {
    static const int16_t* rows(const Stage& s) { return s.short_rows.get(); }
};
template <>
struct Packed<int32_t> {
    static const int32_t* rows(const Stage& s) { return s.long_rows.get(); }
};
template <>
struct Packed<float> {
    static const float* rows(const Stage& s) { return s.float_rows.get(); }
};

// The buffers of a stage in the numbers that its lanes are kept in.
struct IntegerState {
    static int32_t* potential(Workspace& w, int i) { return w.potential[i].get(); }
    static const int32_t* current(Workspace& w, int i) { return w.current[i].get(); }
    static const int32_t* settled(const Stage& s) { return s.current.get(); }
    static const int32_t* starts(const Stage& s) { return s.starts.get(); }
    static const int32_t* limits(const Stage& s) { return s.limits.get(); }
    static const int32_t* returns(const Stage& s) { return s.returns.get(); }
    static const int32_t* taps(const Source& s) { return s.taps.get(); }
    static int32_t bias(const Stage& s, float b) { return int32_t(std::lrint(double(b) * s.unit)); }
};
struct FloatState {
    static float* potential(Workspace& w, int i) { return w.float_potential[i].get(); }
    static const float* current(Workspace& w, int i) { return w.float_current[i].get(); }
    static const float* settled(const Stage& s) { return s.float_current.get(); }
    static const float* starts(const Stage& s) { return s.float_starts.get(); }
    static const float* limits(const Stage& s) { return s.float_limits.get(); }
    static const float* returns(const Stage& s) { return s.float_returns.get(); }
    static const float* taps(const Source& s) { return s.float_taps.get(); }
    static float bias(const Stage&, float b) { return b; }
};
template <class Lane>
using StateOf = std::conditional_t<std::is_same_v<Lane, float>, FloatState, IntegerState>;

// What diagonal maps bring to a tile and block of channels: for each of their taps and vectors, where the bits of its lanes
// lie in step 0, and the weights of the lanes.
template <class Lane, int V>
struct Diagonals {
    using Vec = Vector<Lane>;
    struct Tap {
        Vec weights;
        const uint8_t* bits;  // of its lanes in step 0
        std::size_t row;
        int k;
        bool back;
    };
    Tap* taps;
    int count = 0;

    Diagonals(const Job& job, const Tile& tile, int block) : taps(reinterpret_cast<Tap*>(job.w.taps.get())) {
        for (const Source& s : tile.stage.sources) {
            if (!s.diagonal || tile.stage.kernel == Kernel::Dense) continue;
            const Stage& from = job.program.stages[s.from];
            for (int sign = 0; sign < (from.kind == Kind::Ternary ? 2 : 1); sign++)
                for (int tap = 0; tap < s.kh * s.kw; tap++)
                    for (int k = 0; k < V; k++) add(job, tile, s, block, sign, tap, k);
        }
    }

    void add(const Job& job, const Tile& tile, const Source& s, int block, int sign, int tap, int k) {
        const Stage &stage = tile.stage, &from = job.program.stages[s.from];
        const auto* weights = StateOf<Lane>::taps(s) + (std::size_t(tap) * stage.blocks + block) * stage.lanes();
        const uint8_t* planes = (sign ? job.w.negatives : job.w.bits)[from.slot].get();
        const int lane = k * Vec::lanes, p = lane / stage.block, c = block * stage.block + lane % stage.block;
        const int y = (tile.y + p / stage.tile_w) * s.sh - s.top + tap / s.kw;
        const int x = (tile.x + p % stage.tile_w) * s.sw - s.left + tap % s.kw;
        const uint8_t* bits = planes + from.bit_place(y, x) + std::min(c, from.padded - 16) / 8;
        taps[count++] = {Vec::load(weights + k * Vec::lanes), bits, from.bit_row(), k, sign != 0};
    }

    __attribute__((always_inline)) inline void arrive(int t, Vec* sum) const {
        for (int i = 0; i < count; i++) {
            const Tap& tap = taps[i];
            uint16_t hit;
            std::memcpy(&hit, tap.bits + t * tap.row, 2);
            Vec& into = sum[tap.k];
            into = tap.back ? into.subtract_where(hit, tap.weights) : into.add_where(hit, tap.weights);
        }
    }
};

// Write 16 bytes, 1 where a bit is set.
inline void spread(uint16_t bits, uint8_t* out) {
#if defined(__AVX512BW__)
    _mm_storeu_si128((__m128i*)out, _mm_maskz_set1_epi8(bits, 1));
#else
    for (int i = 0; i < 16; i++) out[i] = bits >> i & 1;
#endif
}

// Where the spikes of a tile and block of channels go. Each pixel has `block` channels, whose bits lie one after the other in
// the masks of the vectors; what lies outside of the image goes to waste.
template <class Lane, int V>
struct Sender {
    using Mask = uint16_t;  // of the 16 lanes of a vector
    static_assert(Vector<Lane>::lanes == 16);
    uint8_t *bits[4], *negatives[4], *bytes[4];
    int pixels, channels;
    std::size_t bit_row, byte_row;
    bool wants_bits, wants_bytes;

    Sender(const Job& job, const Tile& tile, int block) {
        const Stage& s = tile.stage;
        const int first = block * s.block;
        const bool pooled = s.pool_h * s.pool_w > 1;
        pixels = pooled ? 1 : s.pixels(), channels = s.block;
        bit_row = s.bit_row(), byte_row = s.byte_row(), wants_bits = s.wants_bits, wants_bytes = s.wants_bytes;
        for (int p = 0; p < pixels; p++) {
            int y = pooled ? tile.y / s.pool_h : tile.y + p / s.tile_w, x = pooled ? tile.x / s.pool_w : tile.x + p % s.tile_w;
            const bool inside = y < s.height && x < s.width && first < s.padded;
            uint8_t* waste = job.w.waste.get();
            bits[p] = inside ? job.w.bits[s.slot].get() + s.bit_place(y, x) + first / 8 : waste;
            negatives[p] = inside ? job.w.negatives[s.slot].get() + s.bit_place(y, x) + first / 8 : waste;
            bytes[p] = inside ? job.w.bytes[s.slot].get() + s.byte_place(y, x) + first : waste;
        }
    }

    // Write the spikes of step t of Q pixels with `each` vectors.
    template <int Q, int each>
    __attribute__((always_inline)) inline void send_pixels(int t, const uint64_t* up) const {
        if (wants_bits)
            for (int q = 0; q < Q; q++)
                for (int k = 0; k < each; k++) {
                    const Mask mask = Mask(up[q * each + k]);
                    std::memcpy(bits[q] + t * bit_row + k * 2, &mask, 2);
                }
        if (wants_bytes)
            for (int q = 0; q < Q; q++)
                for (int k = 0; k < each; k++) spread(Mask(up[q * each + k]), bytes[q] + t * byte_row + k * 16);
    }

    void send(int t, const uint64_t* up) const {
        for (int q = 0; q < pixels; q++)
            for (int k = 0; k < channels / 16; k++) {
                const Mask mask = Mask(up[q * (channels / 16) + k]);
                if (wants_bits) std::memcpy(bits[q] + t * bit_row + k * 2, &mask, 2);
                if (wants_bytes) spread(mask, bytes[q] + t * byte_row + k * 16);
            }
    }

    // Write spikes that were taken back, after those of `send`.
    void send_back(int t, const uint64_t* down) const {
        for (int q = 0; q < pixels; q++)
            for (int c = 0; c < channels; c++) {
                const int bit = down[(q * channels + c) / 16] >> (c % 16) & 1;
                uint8_t& byte = negatives[q][t * bit_row + c / 8];
                if (wants_bits) byte = uint8_t(c % 8 ? byte | bit << (c % 8) : bit);
                if (wants_bytes && bit) bytes[q][t * byte_row + c] = 255;
            }
    }
};

// Call f(lane, place) for the neurons of a tile, with their places in an array [height][width][channels].
template <class F>
inline void for_neurons(const Tile& tile, int first, F f) {
    const Stage& s = tile.stage;
    const bool pooled = s.pool_h * s.pool_w > 1;
    for (int p = 0; p < (pooled ? 1 : s.pixels()); p++) {
        int y = pooled ? tile.y / s.pool_h : tile.y + p / s.tile_w, x = pooled ? tile.x / s.pool_w : tile.x + p % s.tile_w;
        if (y >= s.height || x >= s.width) continue;
        std::size_t place = (std::size_t(y) * s.width + x) * s.channels + first;
        for (int c = 0; c < std::min(s.block, s.channels - first); c++) f(p * s.block + c, place + c);
    }
}

inline std::size_t sample_size(const Stage& s) { return std::size_t(s.height) * s.width * s.channels; }

// What arrives at a tile by events: the rows of weights of all spikes under it. Between steps it keeps which comes next.
template <class Lane, class Weight, int V>
struct Events {
    using Vec = Vector<Weight>;
    static constexpr int W = V * Vector<Lane>::lanes / Vec::lanes;  // vectors of a row
    const Weight* rows;
    const int32_t* reach;
    const uint16_t* events;
    const uint32_t* ends;
    uint32_t event = 0;

    Events(const Job& job, const Stage& s, int block)
        : rows(Packed<Weight>::rows(s) + std::size_t(block) * s.event_rows * s.lanes()),
          reach(s.reach.get() + std::size_t(block) * s.event_rows), events(job.w.events.get()), ends(job.w.ends.data()) {}

    void skip(int t) { event = ends[2 * t + 1]; }

    // Add what arrives in step t to `out`.
    __attribute__((always_inline)) inline void add(int t, Vector<Lane>* out) {
        if constexpr (std::is_same_v<Lane, Weight>) {
            gather<false>(ends[2 * t], out);
            gather<true>(ends[2 * t + 1], out);
        } else {
            Vec sum[W];
            while (event < ends[2 * t + 1]) {
                for (int k = 0; k < W; k++) sum[k] = Vec::zero();
                int32_t total = 0;
                gather_short<false>(ends[2 * t], sum, total);
                gather_short<true>(ends[2 * t + 1], sum, total);
                for (int k = 0; k < W; k++)
                    for (int half = 0; half < 2; half++) out[2 * k + half] = out[2 * k + half] + Vector<Lane>::half(sum[k], half);
            }
        }
    }

    template <bool Back>
    __attribute__((always_inline)) inline void gather(uint32_t end, Vec* out) {
        Vec sum[W];
        for (int k = 0; k < W; k++) sum[k] = out[k];
        for (; event < end; event++) {
            const Weight* row = rows + std::size_t(events[event]) * (W * Vec::lanes);
            for (int k = 0; k < W; k++) sum[k] = Back ? sum[k] - Vec::load(row + k * Vec::lanes) : sum[k] + Vec::load(row + k * Vec::lanes);
        }
        for (int k = 0; k < W; k++) out[k] = sum[k];
    }

    // As above in 16 bits, as long as these are sure to hold the sum.
    template <bool Back>
    __attribute__((always_inline)) inline void gather_short(uint32_t end, Vec* out, int32_t& total) {
        Vec sum[W];
        for (int k = 0; k < W; k++) sum[k] = out[k];
        for (; event < end; event++) {
            const uint16_t at = events[event];
            if ((total += reach[at]) > 32767) break;
            const Weight* row = rows + std::size_t(at) * (W * Vec::lanes);
            for (int k = 0; k < W; k++) sum[k] = Back ? sum[k] - Vec::load(row + k * Vec::lanes) : sum[k] + Vec::load(row + k * Vec::lanes);
        }
        for (int k = 0; k < W; k++) out[k] = sum[k];
    }
};

// One tile and block of channels on its way through the steps of a job. V vectors of `Lane` hold its neurons, `Arrivals`
// says what reaches them.
template <class Lane, int V, class Arrivals>
struct TileRun {
    using Vec = Vector<Lane>;
    using State = StateOf<Lane>;
    static constexpr int N = Vec::lanes;

    const Job& job;
    const Tile& tile;
    const Stage& s;
    Workspace& w;
    const int block, first;
    const std::size_t at;
    const bool ternary, pooled;
    Vec v[V], limit[V], fixed[V], count[V], net[V], back[V];
    uint64_t up[V], down[V];
    Arrivals arrivals;
    Sender<Lane, V> sender;
    Diagonals<Lane, V> diagonals;

    TileRun(const Job& job, const Tile& tile, int block, Arrivals arrivals)
        : job(job), tile(tile), s(tile.stage), w(job.w), block(block), first(block * s.block),
          at((tile.number * s.blocks + block) * s.lanes()), ternary(s.kind == Kind::Ternary),
          pooled(s.pool_h * s.pool_w > 1), arrivals(arrivals), sender(job, tile, block), diagonals(job, tile, block) {}

    // Load the state before the first step, or between chunks.
    void load() {
        const std::size_t constant = s.uniform ? std::size_t(block) * s.lanes() : at;
        const Lane* potential = job.begin ? State::potential(w, job.stage) + at : State::starts(s) + constant;
        const Lane* current = s.settled ? State::settled(s) + std::size_t(block) * s.lanes() : State::current(w, job.stage) + at;
        for (int k = 0; k < V; k++) {
            v[k] = Vec::load(potential + k * N);
            fixed[k] = Vec::load(current + k * N);
            limit[k] = Vec::load(State::limits(s) + constant + k * N);
            count[k] = net[k] = back[k] = Vec::zero();
            up[k] = down[k] = 0;
            if (ternary) {
                back[k] = Vec::load(State::returns(s) + constant + k * N);
                alignas(64) Lane nets[N];
                for (int i = 0; i < N; i++) nets[i] = job.begin ? Lane(w.net[job.stage][at + k * N + i]) : Lane(0);
                net[k] = Vec::load(nets);
            }
        }
    }

    // Keep the state for the next chunk; after the last one only what is asked for.
    void save() const {
        alignas(64) Lane lanes[N];
        if (ternary)
            for (int k = 0; k < V; k++) {
                net[k].store(lanes);
                for (int i = 0; i < N; i++) w.net[job.stage][at + k * N + i] = int32_t(lanes[i]);
            }
        if (job.begin + job.steps == job.request.steps) return;
        Lane* potential = State::potential(w, job.stage) + at;
        for (int k = 0; k < V; k++) {
            v[k].store(potential + k * N);
            count[k].store(lanes);
            for (int i = 0; i < N; i++) {
                int32_t& total = w.count[job.stage][at + k * N + i];
                total = (job.begin ? total : 0) + int32_t(lanes[i]);
            }
        }
    }

    void add_bias(int t, Vec* sum) const {
        alignas(64) Lane row[V * N] = {};
        for (int k = 0; k < s.lanes(); k++) {
            int c = first + k % s.block;
            if (c < s.channels) row[k] = State::bias(s, s.bias[std::size_t(job.begin + t) * s.channels + c]);
        }
        for (int k = 0; k < V; k++) sum[k] = sum[k] + Vec::load(row + k * N);
    }

    // Bring potentials back into the range that their bits have.
    void limit_potentials() {
        const Lane half = Lane(1 << (s.bits - 1));  // in units of 1: such stages are whole, or floats
        constexpr uint64_t lanes = (uint64_t(1) << N) - 1;
        const Vec top = Vec::all(half), bottom = Vec::all(-half), range = Vec::all(2 * half);
        for (int k = 0; k < V; k++) {
            if (s.wraps) {
                for (uint64_t over; (over = v[k].at_least(top) & lanes);) v[k] = v[k].subtract_where(over, range);
                for (uint64_t under; (under = ~v[k].at_least(bottom) & lanes);) v[k] = v[k].add_where(under, range);
            } else {
                v[k] = v[k].subtract_where(v[k].at_least(top), v[k] - Vec::all(half - 1));
                v[k] = v[k].larger(bottom);
            }
        }
    }

    inline void fire() {
        const Vec one = Vec::all(1);
        for (int k = 0; k < V; k++) {
            up[k] = v[k].at_least(limit[k]);
            v[k] = v[k].subtract_where(up[k], limit[k]);
            count[k] = count[k].add_where(up[k], one);
        }
    }

    void fire_signed() {
        const Vec one = Vec::all(1), zero = Vec::zero();
        for (int k = 0; k < V; k++) {
            down[k] = back[k].at_least(v[k]) & net[k].at_least(one);
            up[k] = v[k].at_least(limit[k]) & ~down[k];
            v[k] = v[k].add_where(down[k], limit[k]).subtract_where(up[k], limit[k]);
            net[k] = net[k].subtract_where(down[k], one).add_where(up[k], one);
            count[k] = count[k].add_where(up[k] | down[k], one);
            if (s.forgives) v[k] = v[k].subtract_where(zero.at_least(net[k]) & ~v[k].at_least(zero), v[k]);
        }
    }

    // Fire where the largest of the potentials in a window does; a spike is taken from each of them.
    void fire_pooled() {
        const int parts = V / s.pixels();
        const Vec one = Vec::all(1);
        for (int k = 0; k < parts; k++) {
            Vec most = v[k];
            for (int p = 1; p < s.pixels(); p++) most = most.larger(v[p * parts + k]);
            up[k] = most.at_least(limit[k]);
            for (int p = 0; p < s.pixels(); p++) v[p * parts + k] = v[p * parts + k].subtract_where(up[k], limit[k]);
            count[k] = count[k].add_where(up[k], one);
        }
    }

    void note_counts(int t) const {
        if (w.checkpoint[t] < 0 || !job.request.counts[job.stage]) return;
        alignas(64) Lane lanes[V * N];
        for (int i = 0; i < V; i++) count[i].store(lanes + i * N);
        const std::size_t row = std::size_t(w.checkpoint[t]) * job.request.samples + job.sample;
        float* out = job.request.counts[job.stage] + row * sample_size(s);
        const int32_t* before = w.count[job.stage].get() + at;
        for_neurons(tile, first, [&](int lane, std::size_t place) {
            out[place] = float(job.begin ? before[lane] : 0) + float(lanes[lane]);
        });
    }

    void answer(int t, const Vec* sum) const {
        alignas(64) Lane lanes[V * N];
        for (int k = 0; k < V; k++) sum[k].store(lanes + k * N);
        const double unit = std::is_same_v<Lane, float> ? 1.0 : s.unit;
        float* out = job.request.answers[job.stage] + (std::size_t(job.begin + t) * job.request.samples + job.sample) * sample_size(s);
        for_neurons(tile, first, [&](int lane, std::size_t place) { out[place] = float(lanes[lane] / unit); });
    }

    // Run all steps.
    void run() {
        load();
        const bool special = ternary || s.bits || s.kind == Kind::ReadOut || s.bias_rows > 1 || job.begin < s.delay;
        constexpr int two = V % 2 == 0 ? 2 : 1, four = V % 4 == 0 ? 4 : 1;  // a tile has at least as many vectors as pixels
        if (special) run_special();
        else if (s.pixels() == 1) run_plain<1, false>();
        else if (s.pixels() == 2) pooled ? run_plain<two, true>() : run_plain<two, false>();
        else pooled ? run_plain<four, true>() : run_plain<four, false>();
        save();
    }

    // Run all steps without a form for each kind of tile: for those that are few.
    void run_generally() {
        load();
        run_special();
        save();
    }

    // Neurons that fire single positive spikes, in tiles of Q pixels; of pooled ones the largest sum of these counts.
    template <int Q, bool Pooled>
    void run_plain() {
        constexpr int P = Pooled ? Q : 1;
        constexpr int M = V / P;  // vectors of neurons
        Vec u[V], most[M], still[V], sent[M];
        for (int k = 0; k < V; k++) u[k] = v[k], still[k] = fixed[k];
        for (int k = 0; k < M; k++) most[k] = limit[k], sent[k] = count[k];
        const Vec one = Vec::all(1);
        const Sender<Lane, V> out = sender;
        uint64_t fired[V] = {};
        for (int t = 0; t < job.steps; t++) {
            for (int k = 0; k < V; k++) u[k] = u[k] + still[k];
            arrivals.add(t, u);
            diagonals.arrive(t, u);
            for (int k = 0; k < M; k++) {
                Vec largest = u[k];
                for (int p = 1; p < P; p++) largest = largest.larger(u[p * M + k]);
                fired[k] = largest.at_least(most[k]);
                for (int p = 0; p < P; p++) u[p * M + k] = u[p * M + k].subtract_where(fired[k], most[k]);
                sent[k] = sent[k].add_where(fired[k], one);
            }
            out.template send_pixels<Pooled ? 1 : Q, V / Q>(t, fired);
            if (w.checkpoint[t] >= 0) {
                for (int k = 0; k < M; k++) count[k] = sent[k];
                note_counts(t);
            }
        }
        for (int k = 0; k < V; k++) v[k] = u[k];
        for (int k = 0; k < M; k++) count[k] = sent[k];
    }

    void run_special() {
        for (int t = 0; t < job.steps; t++) {
            if (job.begin + t < s.delay && s.kind != Kind::ReadOut) {
                arrivals.skip(t);
            } else {
                Vec sum[V];
                for (int k = 0; k < V; k++) sum[k] = fixed[k];
                arrivals.add(t, sum);
                diagonals.arrive(t, sum);
                if (s.bias_rows > 1) add_bias(t, sum);
                if (s.kind == Kind::ReadOut) {
                    answer(t, sum);
                    continue;
                }
                for (int k = 0; k < V; k++) v[k] = v[k] + sum[k];
                if (s.bits) limit_potentials();
                ternary ? fire_signed() : pooled ? fire_pooled() : fire();
            }
            sender.send(t, up);
            if (ternary) sender.send_back(t, down);
            note_counts(t);
        }
    }
};

template <class Lane, class Weight, int V>
void run_vectors(const Job& job, const Tile& tile, int block) {
    TileRun<Lane, V, Events<Lane, Weight, V>> run(job, tile, block, {job, tile.stage, block});
    run.run();
}

// Run a tile with as many vectors as its lanes need.
template <class Lane, class Weight>
void run_tile(const Job& job, const Tile& tile, int block) {
    switch (tile.stage.lanes() / Vector<Lane>::lanes) {
        case 2: return run_vectors<Lane, Weight, 2>(job, tile, block);
        case 4: return run_vectors<Lane, Weight, 4>(job, tile, block);
        default: return run_vectors<Lane, Weight, 8>(job, tile, block);
    }
}

inline void run_any(const Job& job, const Tile& tile, int block) {
    const Stage& s = tile.stage;
    if (!s.integer()) run_tile<float, float>(job, tile, block);
    else if (s.narrow) run_tile<int32_t, int16_t>(job, tile, block);
    else run_tile<int32_t, int32_t>(job, tile, block);
}

// Run a stage by events, for samples that share the weights of a block of channels.
inline void run_events(const std::vector<Job>& jobs) {
    const Stage& s = jobs.front().program.stages[jobs.front().stage];
    const int conv_h = s.height * s.pool_h, conv_w = s.width * s.pool_w;
    std::size_t number = 0;
    for (int y = 0; y < conv_h; y += s.tile_h) {
        for (int x = 0; x < conv_w; x += s.tile_w, number++) {
            const Tile tile{s, y, x, number};
            for (const Job& job : jobs) list_events(job.program, tile, job.w, job.steps);
            for (int block = 0; block < s.blocks; block++)
                for (const Job& job : jobs) run_any(job, tile, block);
        }
    }
}

}  // namespace
