// The event kernel in 16 bits: spikes are listed once for a row of tiles, column by column, so that those under a tile lie
// together; then their rows of weights are added for all steps, and then the neurons fire.
#pragma once

#include "events.hpp"
#include "layout.hpp"
#include "shorts.hpp"

namespace {

constexpr std::size_t BAND = 1 << 20;  // events that are listed before blocks of channels share them
constexpr int UNROLL = 4;
constexpr int WASTE = 4;               // of tiles, one in so many may leave 16 bits before a stage is run in 32

inline int columns_of(const Stage& s, const Source& source) {
    const int units = (s.width * s.pool_w + s.unit_w - 1) / s.unit_w;
    return (units - 1) * s.unit_w * source.sw + source.patch_bits / source.padded;
}

// The most events that a row of tiles can have in a chunk, and the number of their ends.
inline std::size_t row_events(const Program& program, const Stage& s, std::size_t& ends) {
    std::size_t events = 0;
    ends = 0;
    const int rows = s.tile_h / s.unit_h;
    for (const Source& source : s.sources) {
        if (source.diagonal) continue;
        const std::size_t lists = std::size_t(rows) * CHUNK * (program.stages[source.from].kind == Kind::Ternary ? 2 : 1);
        const int columns = columns_of(s, source);
        events += lists * columns * source.patch_rows * source.padded;
        ends += lists * (columns + 1);
    }
    return events;
}

// How many rows of tiles are listed together.
inline int band_rows(const Program& program, const Stage& s) {
    std::size_t ends;
    const std::size_t events = row_events(program, s, ends);
    const int rows = (s.height * s.pool_h + s.tile_h - 1) / s.tile_h;
    if (s.blocks == 1 || events == 0) return 1;
    return int(std::max<std::size_t>(1, std::min<std::size_t>(rows, BAND / events)));
}

// Whether places in the lists for some sources of a stage fit 16 bits.
inline bool lists_fit(const Stage& s, const std::vector<Source>& sources) {
    const int units = (s.width * s.pool_w + s.unit_w - 1) / s.unit_w * s.unit_w;
    for (const Source& source : sources) {
        const std::size_t columns = std::size_t(units - 1) * source.sw + source.kw, rows = std::size_t(s.unit_h - 1) * source.sh + source.kh;
        if (!source.diagonal && columns * rows * source.padded > 65536) return false;
    }
    return true;
}

// List the spikes of some channels in a column of rows. Words of few channels are not looked at before: a guess would often be wrong.
template <class Word>
__attribute__((always_inline)) inline uint16_t* column_events(const uint8_t* planes, std::size_t row, int rows, int words,
                                                              unsigned base, uint16_t* out) {
    for (int r = 0; r < rows; r++, planes += row)
        for (int i = 0; i < words; i++, base += 8 * sizeof(Word)) {
            Word word;
            std::memcpy(&word, planes + i * sizeof(Word), sizeof(Word));
            if (sizeof(Word) > 2 && !word) continue;
#if defined(__AVX512VBMI2__)
            out = listed(word, uint16_t(base), out);
#else
            for (unsigned k = 0; k < sizeof(Word); k++) out = listed_byte(uint8_t(word >> 8 * k), uint16_t(base + 8 * k), out);
#endif
        }
    return out;
}

// List the spikes of a source under a row of units that begins at row y of the map before pooling.
inline void list_columns(const Job& job, const Stage& s, const Source& source, bool back, int y, std::size_t& events, std::size_t& ends) {
    const Stage& from = job.program.stages[source.from];
    const int columns = columns_of(s, source), bytes = from.padded / 8, rows = source.patch_rows;
    const uint8_t* planes = (back ? job.w.negatives : job.w.bits)[from.slot].get() + from.bit_place(y * source.sh - source.top, -source.left);
    const std::size_t row = CHUNK * from.bit_row();
    uint16_t* out = job.w.columns.get() + events;
    uint32_t* end = job.w.column_ends.get() + ends;
    job.w.spikes.push_back({&source, back, events, ends, columns});
    const uint16_t* first = out;
    for (int t = 0; t < job.steps; t++) {
        const uint8_t* p = planes + t * from.bit_row();
        *end++ = uint32_t(out - first);
        for (int x = 0; x < columns; x++, p += bytes) {
            const unsigned base = unsigned(x) * rows * source.padded;
            if (bytes == 2) out = column_events<uint16_t>(p, row, rows, 1, base, out);
            else if (bytes == 4) out = column_events<uint32_t>(p, row, rows, 1, base, out);
            else out = column_events<uint64_t>(p, row, rows, bytes / 8, base, out);
            *end++ = uint32_t(out - first);
        }
    }
    events += out - first, ends += std::size_t(job.steps) * (columns + 1);
}

// Spikes under a unit in each step, and the rows of weights for them.
struct Arriving {
    const uint16_t* events;
    const uint32_t* ends;
    std::size_t stride;  // of the ends
    int width;
    const int16_t* rows;
    bool back;

    const uint16_t* begin(int t) const { return events + ends[t * stride]; }
    const uint16_t* end(int t) const { return events + ends[t * stride + width]; }
};

template <int K, bool Back>
__attribute__((always_inline)) inline void gather(const int16_t* rows, const uint16_t* event, const uint16_t* end, RowSum<K>& sum) {
    RowSum<K> a = sum;
    auto add = [&](uint16_t at) {
        const int16_t* row = rows + std::size_t(at) * (K * 16);
        Back ? a.subtract(row) : a.add(row);
    };
    for (; end - event >= UNROLL; event += UNROLL)
        for (int i = 0; i < UNROLL; i++) add(event[i]);
    for (; event < end; event++) add(*event);
    sum = a;
}

// Sums in 32 bits, where those in 16 are not sure to fit: of at most `safe` events at a time.
template <int K>
inline void gather_wide(const Arriving* lists, int count, int t, int safe, int32_t* out) {
    std::fill_n(out, K * 16, 0);
    for (int i = 0; i < count; i++)
        for (const uint16_t *event = lists[i].begin(t), *end = lists[i].end(t); event != end;) {
            const uint16_t* stop = event + std::min<std::ptrdiff_t>(std::max(safe, 1), end - event);  // a row alone fits
            RowSum<K> sum = RowSum<K>::zero();
            lists[i].back ? gather<K, true>(lists[i].rows, event, stop, sum) : gather<K, false>(lists[i].rows, event, stop, sum);
            int16_t lanes[K * 16];
            sum.store(lanes);
            for (int k = 0; k < K * 16; k++) out[k] += lanes[k];
            event = stop;
        }
}

// What arrives at a tile, summed before: V vectors of units with K of them.
template <int V>
struct Summed {
    const int32_t* sums;  // [unit][step][lane]
    int K;

    void skip(int) {}
    __attribute__((always_inline)) inline void add(int t, Vector<int32_t>* out) const {
        for (int k = 0; k < V; k++) out[k] = out[k] + Vector<int32_t>::load(sums + (std::size_t(k / K * CHUNK + t) * K + k % K) * 16);
    }
};

template <int V>
void finish_wide(const Job& job, const Tile& tile, int block, int K) {
    TileRun<int32_t, V, Summed<V>> run(job, tile, block, {job.w.scratch.get(), K});
    run.run_generally();
}

// A tile in 16 bits: V = K U vectors of lanes.
//
// A potential stops at -32768. It is then too high, so a neuron that does not fire from there on would not have done so with
// the true one: its spikes are right. Where one does, or where potentials are needed later, the tile is run again in 32 bits.
template <int K, int U, int Q, bool Pooled>
struct ShortRun {
    static constexpr int V = K * U, P = Pooled ? Q : 1, M = V / P;
    struct Tap {
        Short weights;
        const uint8_t* bits;
        std::size_t row;
        int k;
        bool back;
    };
    static_assert(sizeof(Tap) <= LINE);
    const Job& job;
    const Tile& tile;
    const Stage& s;
    const int block;
    const std::size_t at;
    Short u[V], fixed[V], limit[M], count[M];
    Tap* taps;
    int tap_count = 0;
    bool fits;

    ShortRun(const Job& job, const Tile& tile, int block)
        : job(job), tile(tile), s(tile.stage), block(block), at((tile.number * s.blocks + block) * s.lanes()),
          taps(reinterpret_cast<Tap*>(job.w.short_taps.get())), fits(s.held) {
        const std::size_t constant = s.uniform ? std::size_t(block) * s.lanes() : at;
        const int32_t* potential = job.begin ? job.w.potential[job.stage].get() + at : s.starts.get() + constant;
        const int32_t* current = s.settled ? s.current.get() + std::size_t(block) * s.lanes() : job.w.current[job.stage].get() + at;
        for (int k = 0; k < V; k++) fits &= narrowed(potential + k * 16, u[k]) & narrowed(current + k * 16, fixed[k]);
        if (!s.settled && !s.sources.empty())
            for (int i = 0; i < V * 16; i++) fits &= std::abs(current[i]) <= UNSETTLED;
        for (int k = 0; k < M; k++) fits &= narrowed(s.limits.get() + constant + k * 16, limit[k]), count[k] = Short::zero();
        const Diagonals<int32_t, V> diagonals(job, tile, block);
        for (int i = 0; i < diagonals.count; i++) add(diagonals.taps[i]);
    }

    // Keep a tap with weights of 16 bits.
    void add(const typename Diagonals<int32_t, V>::Tap& wide) {
        alignas(64) int32_t weights[16];
        wide.weights.store(weights);
        Tap tap{Short::zero(), wide.bits, wide.row, wide.k, wide.back};
        fits &= narrowed(weights, tap.weights);
        taps[tap_count++] = tap;
    }

    // Run all steps; returns whether the spikes are right. If not, nothing of it lasts.
    bool run() {
        if (!fits) return false;
        const Sender<int32_t, V> out(job, tile, block);
        const int16_t* sums = job.w.sums.get();
        const Short one = Short::all(1);
        Short v[V], low[V], high[V], still[V], less[M], below[M], sent[M];
        for (int k = 0; k < V; k++) v[k] = low[k] = high[k] = u[k], still[k] = fixed[k];
        for (int k = 0; k < M; k++) less[k] = Short::zero() - limit[k], below[k] = limit[k] - one, sent[k] = Short::zero();
        uint64_t fired[V] = {};
        for (int t = 0; t < job.steps; t++) {
            Short x[V];
            for (int k = 0; k < V; k++) x[k] = Short::load(sums + (std::size_t(k / K * CHUNK + t) * K + k % K) * 16) + still[k];
            for (int i = 0; i < tap_count; i++) arrive(taps[i], t, x);
            for (int k = 0; k < V; k++) {
                v[k] = v[k].add_saturated(x[k]);
                low[k] = low[k].smaller(v[k]), high[k] = high[k].larger(v[k]);
            }
            for (int k = 0; k < M; k++) {
                Short largest = v[k];
                for (int p = 1; p < P; p++) largest = largest.larger(v[p * M + k]);
                const Short up = largest.above(below[k]);
                for (int p = 0; p < P; p++) {
                    Short& rest = v[p * M + k];
                    rest = rest.add_saturated(less[k] & up);
                    if (Pooled) low[p * M + k] = low[p * M + k].smaller(rest);  // a spike of another pixel is taken from this one too
                }
                sent[k] = sent[k] - up;
                fired[k] = up.signs();
            }
            out.template send_pixels<Pooled ? 1 : Q, V / Q>(t, fired);
            if (job.w.checkpoint[t] >= 0 && job.request.counts[job.stage]) {
                for (int k = 0; k < M; k++) count[k] = sent[k];
                note_counts(t);
            }
        }
        for (int k = 0; k < V; k++) u[k] = v[k];
        for (int k = 0; k < M; k++) count[k] = sent[k];
        if (!held(low, high)) return false;
        save();
        return true;
    }

    // Whether no spike can be wrong, and no potential that is needed later.
    bool held(const Short* low, const Short* high) const {
        const bool last = job.begin + job.steps == job.request.steps;
        const Short none = Short::zero(), least = Short::all(-32768), largest = Short::all(32767);
        Short lost = Short::zero();
        for (int k = 0; k < V; k++) {
            const Short stopped = low[k].equal(least);
            lost = lost | high[k].equal(largest) | (last && !Pooled ? stopped & count[k % M].above(none) : stopped);
        }
        return lost.signs() == 0;
    }

    __attribute__((always_inline)) inline void arrive(const Tap& tap, int t, Short* x) const {
        uint16_t hit;
        std::memcpy(&hit, tap.bits + t * tap.row, 2);
        const Short arrived = tap.weights & Short::where(hit);
        x[tap.k] = tap.back ? x[tap.k] - arrived : x[tap.k] + arrived;
    }

    void note_counts(int t) const {
        int16_t lanes[M * 16];
        float totals[M * 16];
        for (int k = 0; k < M; k++) count[k].store(lanes + k * 16);
        const int32_t* before = job.w.count[job.stage].get() + at;
        for (int i = 0; i < M * 16; i++) totals[i] = float(lanes[i] + (job.begin ? before[i] : 0));
        const std::size_t row = std::size_t(job.w.checkpoint[t]) * job.request.samples + job.sample;
        float* out = job.request.counts[job.stage] + row * sample_size(s);
        const int first = block * s.block, channels = std::min(s.block, s.channels - first);
        for (int p = 0; p < M * 16 / s.block; p++) {
            const int y = Pooled ? tile.y / s.pool_h : tile.y + p / s.tile_w, x = Pooled ? tile.x / s.pool_w : tile.x + p % s.tile_w;
            if (y < s.height && x < s.width && channels > 0)
                std::memcpy(out + (std::size_t(y) * s.width + x) * s.channels + first, totals + p * s.block, channels * sizeof(float));
        }
    }

    // Keep the state for the next chunk.
    void save() const {
        if (job.begin + job.steps == job.request.steps) return;
        int16_t lanes[V * 16];
        int32_t *potential = job.w.potential[job.stage].get() + at, *total = job.w.count[job.stage].get() + at;
        for (int k = 0; k < V; k++) u[k].store(lanes + k * 16);
        for (int i = 0; i < V * 16; i++) potential[i] = lanes[i];
        for (int k = 0; k < M; k++) count[k].store(lanes + k * 16);
        for (int i = 0; i < M * 16; i++) total[i] = (job.begin ? total[i] : 0) + lanes[i];
    }
};

// Tiles whose sums are known: they fire in 16 bits, or in 32.
template <int K, int U, int Q, bool Pooled>
struct SummedTiles {
    const Job& job;
    const Stage& s;
    Workspace& w;

    explicit SummedTiles(const Job& job) : job(job), s(job.program.stages[job.stage]), w(job.w) {}

    void fire(const Tile& tile, int block) const {
        if (run_short(tile, block)) return;
        widen();
        finish_wide<K * U>(job, tile, block, K);
    }

    void widen() const {
        const int16_t* sums = w.sums.get();
        int32_t* wide = w.scratch.get();
        for (int i = 0; i < U * CHUNK * K * 16; i++) wide[i] = sums[i];
    }

    // Run a tile in 16 bits, where that is possible and pays; returns whether it was.
    bool run_short(const Tile& tile, int block) const {
        int &tried = w.tried[job.stage], &failed = w.failed[job.stage];
        const bool special = s.kind != Kind::Fire || s.bias_rows > 1 || job.begin < s.delay;
        if (special || failed > WASTE + tried / WASTE) return false;
        const bool held = ShortRun<K, U, Q, Pooled>(job, tile, block).run();
        tried++, failed += !held;
        return held;
    }
};

// Rows of tiles on their way through the steps of a job; units of K times 16 lanes.
template <int K, int U, int Q, bool Pooled>
struct ColumnRun : SummedTiles<K, U, Q, Pooled> {
    using Base = SummedTiles<K, U, Q, Pooled>;
    using Base::job, Base::s, Base::w;
    std::vector<std::size_t> first;  // of the lists of each row of units
    std::vector<Arriving> lists;     // of one unit

    explicit ColumnRun(const Job& job) : Base(job), lists(2 * job.program.stages[job.stage].sources.size()) {
        if (!s.event_rows) std::fill_n(w.sums.get(), U * CHUNK * K * 16, 0);
    }

    // Run samples, which share the weights of a block of channels.
    static void run(const std::vector<Job>& jobs) {
        std::vector<ColumnRun> runs(jobs.begin(), jobs.end());
        const Stage& s = runs.front().s;
        const int rows = (s.height * s.pool_h + s.tile_h - 1) / s.tile_h, band = band_rows(jobs.front().program, s);
        for (int row = 0; row < rows; row += band) {
            const int last = std::min(rows, row + band);
            for (ColumnRun& each : runs) each.list(row, last);
            for (int block = 0; block < s.blocks; block++)
                for (ColumnRun& each : runs)
                    for (int r = row; r < last; r++) each.run_row(r, r - row, block);
        }
    }

    void list(int row, int last) {
        std::size_t events = 0, ends = 0;
        w.spikes.clear(), first.clear();
        for (int y = row * s.tile_h; y < last * s.tile_h; y += s.unit_h) {
            first.push_back(w.spikes.size());
            for (const Source& source : s.sources) {
                if (source.diagonal) continue;
                for (int back = 0; back < (job.program.stages[source.from].kind == Kind::Ternary ? 2 : 1); back++)
                    list_columns(job, s, source, back, y, events, ends);
            }
        }
        first.push_back(w.spikes.size());
    }

    void run_row(int row, int place, int block) {
        const int tiles = (s.width * s.pool_w + s.tile_w - 1) / s.tile_w;
        for (int i = 0; i < tiles; i++) {
            const Tile tile{s, row * s.tile_h, i * s.tile_w, std::size_t(row) * tiles + i};
            if (s.event_rows && !sum_up(tile, place, block)) {
                sum_wide(tile, place, block);
                finish_wide<K * U>(job, tile, block, K);
            } else {
                this->fire(tile, block);
            }
        }
    }

    // The spikes that reach unit p of a tile.
    int arriving(const Tile& tile, int place, int block, int p, Arriving* lists) const {
        const std::size_t row = std::size_t(place) * (s.tile_h / s.unit_h) + (U > 1 ? p / s.tile_w : 0);
        const int x = tile.x + (U > 1 ? p % s.tile_w : 0);
        const int16_t* rows = s.short_rows.get() + std::size_t(block) * s.event_rows * (K * 16);
        int count = 0;
        for (std::size_t i = first[row]; i < first[row + 1]; i++) {
            const Spikes& spikes = w.spikes[i];
            const Source& source = *spikes.source;
            const int column = x * source.sw;
            const std::ptrdiff_t from = std::ptrdiff_t(source.first_row) - std::ptrdiff_t(column) * source.patch_rows * source.padded;
            lists[count++] = {w.columns.get() + spikes.events, w.column_ends.get() + spikes.ends + column,
                              std::size_t(spikes.columns) + 1, source.patch_bits / source.padded, rows + from * (K * 16), spikes.back};
        }
        return count;
    }

    // Sum what arrives at a tile, in 16 bits; returns whether these are sure to hold it.
    bool sum_up(const Tile& tile, int place, int block) {
        bool safe = true;
        for (int p = 0; p < U && safe; p++) {
            const int count = arriving(tile, place, block, p, lists.data());
            int16_t* out = w.sums.get() + std::size_t(p) * CHUNK * K * 16;
            safe = count == 1 && !lists[0].back ? sum_one(lists[0], out) : sum_all(count, out);
        }
        return safe;
    }

    // Sum what one source sends.
    bool sum_one(const Arriving& from, int16_t* out) const {
        const uint32_t* ends = from.ends;
        const int steps = job.steps, width = from.width, safe = s.safe;
        for (int t = 0; t < steps; t++, out += K * 16, ends += from.stride) {
            RowSum<K> sum = RowSum<K>::zero();
            const uint32_t begin = ends[0], end = ends[width];
            if (int(end - begin) > safe) return false;
            gather<K, false>(from.rows, from.events + begin, from.events + end, sum);
            sum.store(out);
        }
        return true;
    }

    bool sum_all(int count, int16_t* out) const {
        for (int t = 0; t < job.steps; t++, out += K * 16) {
            RowSum<K> sum = RowSum<K>::zero();
            std::ptrdiff_t events = 0;
            for (int i = 0; i < count; i++) {
                const Arriving& from = lists[i];
                const uint16_t *begin = from.begin(t), *end = from.end(t);
                events += end - begin;
                from.back ? gather<K, true>(from.rows, begin, end, sum) : gather<K, false>(from.rows, begin, end, sum);
            }
            if (events > s.safe) return false;
            sum.store(out);
        }
        return true;
    }

    // As above in 32 bits.
    void sum_wide(const Tile& tile, int place, int block) {
        for (int p = 0; p < U; p++) {
            const int count = arriving(tile, place, block, p, lists.data());
            for (int t = 0; t < job.steps; t++)
                gather_wide<K>(lists.data(), count, t, s.safe, w.scratch.get() + std::size_t(p * CHUNK + t) * K * 16);
        }
    }
};

template <int U, int Q, bool Pooled>
inline void run_columns_as(const std::vector<Job>& jobs) {
    switch (jobs.front().program.stages[jobs.front().stage].unit_lanes() / 16) {
        case 1: return ColumnRun<1, U, Q, Pooled>::run(jobs);
        case 2: return ColumnRun<2, U, Q, Pooled>::run(jobs);
        default: return ColumnRun<4, U, Q, Pooled>::run(jobs);
    }
}

// Run a stage by events that are listed by column.
inline void run_columns(const std::vector<Job>& jobs) {
    const Stage& s = jobs.front().program.stages[jobs.front().stage];
    if (s.units() == 4) return run_columns_as<4, 4, true>(jobs);
    if (s.units() == 2) return run_columns_as<2, 2, true>(jobs);
    s.pixels() == 2 ? run_columns_as<1, 2, false>(jobs) : run_columns_as<1, 1, false>(jobs);
}

}  // namespace
