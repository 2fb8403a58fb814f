// Sixteen numbers of 16 bits: one register of AVX2, two of narrower processors.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "vectors.hpp"

namespace {

#if defined(__AVX2__)
constexpr int WIDTH = 32;  // bytes of a register
#else
constexpr int WIDTH = 16;
#endif

struct Short {
    static constexpr int lanes = 16, parts = 32 / WIDTH;
    typedef int16_t Part __attribute__((vector_size(WIDTH)));
    typedef int16_t Loose __attribute__((vector_size(WIDTH), aligned(1), may_alias));
    Part v[parts];

    template <class F>
    static Short each(F f) {
        Short r;
        for (int i = 0; i < parts; i++) r.v[i] = f(i);
        return r;
    }
    static Short zero() { return {}; }
    static Short all(int16_t x) {
        return each([&](int) { return Part{} + x; });
    }
    static Short load(const int16_t* p) {
        return each([&](int i) { return *reinterpret_cast<const Loose*>(p + i * (WIDTH / 2)); });
    }
    void store(int16_t* p) const {
        for (int i = 0; i < parts; i++) *reinterpret_cast<Loose*>(p + i * (WIDTH / 2)) = v[i];
    }
    Short operator+(const Short& o) const {
        return each([&](int i) { return v[i] + o.v[i]; });
    }
    Short operator-(const Short& o) const {
        return each([&](int i) { return v[i] - o.v[i]; });
    }
    Short operator&(const Short& o) const {
        return each([&](int i) { return v[i] & o.v[i]; });
    }
    Short operator|(const Short& o) const {
        return each([&](int i) { return v[i] | o.v[i]; });
    }
    // All ones where a lane is larger than the other.
    Short above(const Short& o) const {
        return each([&](int i) { return (Part)(v[i] > o.v[i]); });
    }
    Short larger(const Short& o) const {
        return each([&](int i) { return v[i] > o.v[i] ? v[i] : o.v[i]; });
    }
    Short smaller(const Short& o) const {
        return each([&](int i) { return v[i] < o.v[i] ? v[i] : o.v[i]; });
    }
    Short equal(const Short& o) const {
        return each([&](int i) { return (Part)(v[i] == o.v[i]); });
    }
    // The sum, or the nearest number to it.
    Short add_saturated(const Short& o) const {
        return each([&](int i) {
#if defined(__AVX2__)
            return (Part)_mm256_adds_epi16((__m256i)v[i], (__m256i)o.v[i]);
#elif defined(__SSE2__)
            return (Part)_mm_adds_epi16((__m128i)v[i], (__m128i)o.v[i]);
#else
            const Part sum = v[i] + o.v[i], over = (Part)(((v[i] ^ sum) & (o.v[i] ^ sum)) < 0);
            return (sum & ~over) | (((v[i] >> 15) ^ int16_t(32767)) & over);
#endif
        });
    }
    // The sign bit of each lane.
    uint32_t signs() const {
#if defined(__AVX2__)
        const __m256i x = (__m256i)v[0];
        return uint32_t(_mm_movemask_epi8(_mm_packs_epi16(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1))));
#elif defined(__SSE2__)
        return uint32_t(_mm_movemask_epi8(_mm_packs_epi16((__m128i)v[0], (__m128i)v[1])));
#else
        uint32_t m = 0;
        for (int k = 0; k < lanes; k++) m |= uint32_t(v[k / (WIDTH / 2)][k % (WIDTH / 2)] < 0) << k;
        return m;
#endif
    }
    // All ones in the lanes whose bits are set.
    static Short where(uint16_t bits) {
        const Short places = {{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, -32768}};
        return each([&](int i) { return (Part)(((Part{} + int16_t(bits)) & places.v[i]) == places.v[i]); });
    }
};

// A sum of rows of N times sixteen numbers; with AVX-512 two times sixteen share a register.
template <int N>
struct RowSum {
#if defined(__AVX512BW__)
    using Part = std::conditional_t<N % 2 == 0, Vector<int16_t>, Short>;
#else
    using Part = Short;
#endif
    static constexpr int parts = N * 16 / Part::lanes;
    Part sum[parts];

    static RowSum zero() {
        RowSum r;
        for (int i = 0; i < parts; i++) r.sum[i] = Part::zero();
        return r;
    }
    __attribute__((always_inline)) void add(const int16_t* row) {
        for (int i = 0; i < parts; i++) sum[i] = sum[i] + Part::load(row + i * Part::lanes);
    }
    __attribute__((always_inline)) void subtract(const int16_t* row) {
        for (int i = 0; i < parts; i++) sum[i] = sum[i] - Part::load(row + i * Part::lanes);
    }
    __attribute__((always_inline)) void store(int16_t* out) const {
        for (int i = 0; i < parts; i++) sum[i].store(out + i * Part::lanes);
    }
};

// Narrow sixteen numbers; returns whether they fit.
inline bool narrowed(const int32_t* from, Short& out) {
#if defined(__AVX2__)
    const __m256i low = _mm256_loadu_si256((const __m256i*)from), high = _mm256_loadu_si256((const __m256i*)(from + 8));
    const __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
    out.v[0] = (Short::Part)both;
    const __m256i low_lost = _mm256_xor_si256(low, _mm256_cvtepi16_epi32(_mm256_castsi256_si128(both)));
    const __m256i high_lost = _mm256_xor_si256(high, _mm256_cvtepi16_epi32(_mm256_extracti128_si256(both, 1)));
    const __m256i lost = _mm256_or_si256(low_lost, high_lost);
    return _mm256_testz_si256(lost, lost);
#else
    int16_t lanes[16];
    int32_t lost = 0;
    for (int i = 0; i < 16; i++) lanes[i] = int16_t(from[i]), lost |= from[i] ^ lanes[i];
    out = Short::load(lanes);
    return lost == 0;
#endif
}

// Write the places of the set bits of a byte, counted from `base`, at `out` and go on behind them; writes eight numbers.
inline uint16_t* listed_byte(uint8_t byte, uint16_t base, uint16_t* out) {
    typedef uint16_t Eight __attribute__((vector_size(16)));
    typedef uint16_t Loose __attribute__((vector_size(16), aligned(1), may_alias));
    alignas(64) static const struct Table {
        uint16_t at[256][8];
        constexpr Table() : at() {
            for (int byte = 0; byte < 256; byte++)
                for (int bit = 0, n = 0; bit < 8; bit++)
                    if (byte >> bit & 1) at[byte][n++] = uint16_t(bit);
        }
    } table;
    *reinterpret_cast<Loose*>(out) = *reinterpret_cast<const Eight*>(table.at[byte]) + base;
    return out + __builtin_popcount(byte);
}

}  // namespace
