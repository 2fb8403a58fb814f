// The dense kernel: all connections of 16 neurons over 16 time steps at once, by 8-bit matrix instructions.
//
// A weight is high * 256 + low with signed bytes; both sums are exact in 32 bits.
#pragma once

#include "events.hpp"

#if defined(__AVX512VNNI__)

namespace {

// Call f(spikes, stride, weights) for each step of the inner product of a pixel (y, x) of the map before pooling and a block
// of 16 channels: spikes of 64 inputs over time, and the weights of 16 outputs for them.
template <class F>
__attribute__((always_inline)) inline void for_operands(const Job& job, const Stage& s, int y, int x, int block, F f) {
    for (const Source& source : s.sources) {
        const Stage& from = job.program.stages[source.from];
        const std::size_t stride = from.byte_row();
        const uint8_t* row = job.w.bytes[from.slot].get() + from.byte_place(y * source.sh - source.top, x * source.sw - source.left);
        const int step = source.diagonal ? from.padded : 64;  // a tap of a diagonal map brings its own 16 channels only
        if (source.diagonal) row += block * 16;
        const int8_t* weights = source.tiles.get() + std::size_t(block) * source.kh * source.chunks * 2048;
        for (int r = 0; r < source.kh; r++, row += CHUNK * stride)
            for (int c = 0; c < source.chunks; c++, weights += 2048) f(row + c * step, stride, weights);
    }
}

#if defined(__AMX_INT8__)

struct alignas(64) TileConfig {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};

inline void configure_tiles() {
    TileConfig config;
    for (int i = 0; i < 8; i++) config.row_bytes[i] = 64, config.rows[i] = 16;
    _tile_loadconfig(&config);
}

// Sum over all inputs of a pixel, into low and high sums [32 steps][16] each.
template <bool Signed>
inline void multiply(const Job& job, const Stage& s, int y, int x, int block, int32_t* low, int32_t* high) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for_operands(job, s, y, x, block, [](const uint8_t* spikes, std::size_t stride, const int8_t* weights) {
        _tile_loadd(4, spikes, stride);
        _tile_loadd(5, spikes + HALF * stride, stride);
        _tile_loadd(6, weights, 64);
        _tile_loadd(7, weights + 1024, 64);
        if constexpr (Signed) {
            _tile_dpbssd(0, 4, 6);
            _tile_dpbssd(1, 4, 7);
            _tile_dpbssd(2, 5, 6);
            _tile_dpbssd(3, 5, 7);
        } else {
            _tile_dpbusd(0, 4, 6);
            _tile_dpbusd(1, 4, 7);
            _tile_dpbusd(2, 5, 6);
            _tile_dpbusd(3, 5, 7);
        }
    });
    _tile_stored(0, low, 64);
    _tile_stored(1, high, 64);
    _tile_stored(2, low + HALF * 16, 64);
    _tile_stored(3, high + HALF * 16, 64);
}

#else

inline void configure_tiles() {}

// As above, eight steps at a time; spikes must not be signed.
template <bool Signed>
inline void multiply(const Job& job, const Stage& s, int y, int x, int block, int32_t* low, int32_t* high) {
    static_assert(!Signed);
    for (int t = 0; t < CHUNK; t += 8) {
        __m512i a[8], b[8];
        for (int i = 0; i < 8; i++) a[i] = b[i] = _mm512_setzero_si512();
        for_operands(job, s, y, x, block, [&](const uint8_t* spikes, std::size_t stride, const int8_t* weights) {
            const uint8_t* row = spikes + t * stride;
            for (int four = 0; four < 16; four++) {
                const __m512i lows = _mm512_load_si512(weights + four * 64), highs = _mm512_load_si512(weights + 1024 + four * 64);
                for (int i = 0; i < 8; i++) {
                    int32_t word;
                    std::memcpy(&word, row + i * stride + four * 4, 4);
                    const __m512i inputs = _mm512_set1_epi32(word);
                    a[i] = _mm512_dpbusd_epi32(a[i], inputs, lows), b[i] = _mm512_dpbusd_epi32(b[i], inputs, highs);
                }
            }
        });
        for (int i = 0; i < 8; i++) {
            _mm512_storeu_si512(low + (t + i) * 16, a[i]);
            _mm512_storeu_si512(high + (t + i) * 16, b[i]);
        }
    }
}

#endif

// What arrives at the P pixels of a window, summed before.
template <int P>
struct Sums {
    const int32_t* scratch;  // [pixel][low, high][step][16]

    void skip(int) {}
    __attribute__((always_inline)) inline void add(int t, Vector<int32_t>* sum) const {
        for (int p = 0; p < P; p++) {
            const int32_t* low = scratch + std::size_t(p) * 2 * CHUNK * 16 + t * 16;
            const __m512i high = _mm512_slli_epi32(_mm512_loadu_si512(low + CHUNK * 16), 8);
            sum[p].v = _mm512_add_epi32(sum[p].v, _mm512_add_epi32(_mm512_loadu_si512(low), high));
        }
    }
};

template <bool Signed, int P>
inline void run_window(const Job& job, const Tile& tile, int block) {
    const Stage& s = tile.stage;
    for (int p = 0; p < P; p++) {
        int32_t* low = job.w.scratch.get() + std::size_t(p) * 2 * CHUNK * 16;
        multiply<Signed>(job, s, tile.y + p / s.tile_w, tile.x + p % s.tile_w, block, low, low + CHUNK * 16);
    }
    TileRun<int32_t, P, Sums<P>> run(job, tile, block, {job.w.scratch.get()});
    run.run();
}

// Run a stage for some samples, block by block, so that they share the weights of a block.
template <bool Signed>
inline void run_dense_as(const std::vector<Job>& jobs) {
    const Stage& s = jobs.front().program.stages[jobs.front().stage];
    for (int block = 0; block < s.blocks; block++) {
        for (const Job& job : jobs) {
            std::size_t number = 0;
            for (int y = 0; y < s.height * s.pool_h; y += s.tile_h) {
                for (int x = 0; x < s.width * s.pool_w; x += s.tile_w, number++) {
                    const Tile tile{s, y, x, number};
                    if (s.pixels() == 1) run_window<Signed, 1>(job, tile, block);
                    if (s.pixels() == 2) run_window<Signed, 2>(job, tile, block);
                    if (s.pixels() == 4) run_window<Signed, 4>(job, tile, block);
                }
            }
        }
    }
}

inline void run_dense(const std::vector<Job>& jobs) {
#if defined(__AMX_INT8__)
    const Program& program = jobs.front().program;
    for (const Source& source : program.stages[jobs.front().stage].sources)
        if (program.stages[source.from].kind == Kind::Ternary) return run_dense_as<true>(jobs);
#endif
    run_dense_as<false>(jobs);
}

}  // namespace

#endif
