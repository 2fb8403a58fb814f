// The kernel for few output channels: five or six inputs have a table of the sums of their weights for each pattern of spikes.
// A step costs as much whatever spikes, and takes no branch that could be foretold wrongly.
#pragma once

#include "columns.hpp"

namespace {

// Add what sixteen inputs bring to K vectors of neurons.
template <int K>
__attribute__((always_inline)) inline void look_up(const int16_t* table, const uint8_t* spikes, RowSum<K>& sum) {
    constexpr int shift = K == 1 ? 4 : 5, numbers = K * 16;  // of a row
    static_assert(1 << shift == numbers);
    uint16_t word;
    std::memcpy(&word, spikes, sizeof word);
    int bit = -shift;
    for (int part : PARTS) {
        const unsigned patterns = 1U << part, at = (bit < 0 ? unsigned(word) << -bit : word >> bit) & (patterns - 1) << shift;
        sum.add(table + at);
        table += patterns * numbers, bit += part;
    }
}

// Rows of tiles on their way through the steps of a job, units of one pixel and K times 16 channels.
template <int K, int U, bool Pooled>
struct TableRun : SummedTiles<K, U, U, Pooled> {
    using Base = SummedTiles<K, U, U, Pooled>;
    using Base::job, Base::s, Base::w;
    static constexpr int TOGETHER = 8 / RowSum<K>::parts;  // steps whose sums are in registers
    static_assert(CHUNK % TOGETHER == 0);

    explicit TableRun(const Job& job) : Base(job) {}

    void run() const {
        std::size_t number = 0;
        for (int y = 0; y < s.height * s.pool_h; y += s.tile_h)
            for (int x = 0; x < s.width * s.pool_w; x += s.tile_w, number++) {
                for (int p = 0; p < U; p++) sum_up(y + p / s.tile_w, x + p % s.tile_w, w.sums.get() + std::size_t(p) * CHUNK * K * 16);
                this->fire({s, y, x, number}, 0);
            }
    }

    // Sum what arrives at a pixel; the sums of steps past the last are never read.
    void sum_up(int y, int x, int16_t* out) const {
        for (int t = 0; t < job.steps; t += TOGETHER, out += TOGETHER * K * 16) {
            RowSum<K> sum[TOGETHER];
            for (RowSum<K>& each : sum) each = RowSum<K>::zero();
            for (const Source& source : s.sources) {
                if (source.diagonal) continue;
                const Stage& from = job.program.stages[source.from];
                const std::size_t step = from.bit_row();
                const uint8_t* row = w.bits[from.slot].get() + from.bit_place(y * source.sh - source.top, x * source.sw - source.left);
                add(source, row + t * step, step, sum);
            }
            for (int i = 0; i < TOGETHER; i++) sum[i].store(out + i * K * 16);
        }
    }

    __attribute__((always_inline)) inline void add(const Source& source, const uint8_t* row, std::size_t step, RowSum<K>* sum) const {
        const int16_t* table = source.tables.get();
        for (int r = 0; r < source.kh; r++, row += CHUNK * step)
            for (int i = 0; i < source.kw * source.padded / 8; i += 2, table += PATTERNS * K * 16)
                for (int t = 0; t < TOGETHER; t++) look_up<K>(table, row + i + t * step, sum[t]);
    }
};

template <int K>
inline void run_tables_as(const Job& job) {
    const Stage& s = job.program.stages[job.stage];
    const bool pooled = s.pool_h * s.pool_w > 1;
    if (s.pixels() == 4) return TableRun<K, 4, true>(job).run();
    if (s.pixels() == 2) return pooled ? TableRun<K, 2, true>(job).run() : TableRun<K, 2, false>(job).run();
    TableRun<K, 1, false>(job).run();
}

// Run a stage by tables.
inline void run_tables(const std::vector<Job>& jobs) {
    const bool narrow = jobs.front().program.stages[jobs.front().stage].block == 16;
    for (const Job& job : jobs) narrow ? run_tables_as<1>(job) : run_tables_as<2>(job);
}

}  // namespace
