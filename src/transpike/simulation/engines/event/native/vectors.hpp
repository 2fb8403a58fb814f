// Vectors of 64 bytes: one form in intrinsics for AVX-512, one that any compiler with vector extensions turns into what it has.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512BW__)
#include <immintrin.h>
#elif defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

template <class T>
struct Vector;

#if defined(__AVX512BW__)

template <>
struct Vector<int16_t> {
    static constexpr int lanes = 32;
    __m512i v;
    static Vector zero() { return {_mm512_setzero_si512()}; }
    static Vector load(const int16_t* p) { return {_mm512_loadu_si512(p)}; }
    static Vector narrowed(const int32_t* p) {
        return {_mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(_mm512_loadu_si512(p))),
                                   _mm512_cvtepi32_epi16(_mm512_loadu_si512(p + 16)), 1)};
    }
    void widened(int32_t* p) const {
        _mm512_storeu_si512(p, _mm512_cvtepi16_epi32(_mm512_castsi512_si256(v)));
        _mm512_storeu_si512(p + 16, _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(v, 1)));
    }
    Vector operator+(Vector o) const { return {_mm512_add_epi16(v, o.v)}; }
    Vector operator-(Vector o) const { return {_mm512_sub_epi16(v, o.v)}; }
    Vector plus(Vector o) const { return {_mm512_adds_epi16(v, o.v)}; }
    Vector add_where(uint64_t m, Vector o) const { return {_mm512_mask_add_epi16(v, __mmask32(m), v, o.v)}; }
    Vector subtract_where(uint64_t m, Vector o) const { return {_mm512_mask_sub_epi16(v, __mmask32(m), v, o.v)}; }
    uint64_t at_least(Vector o) const { return _mm512_cmpge_epi16_mask(v, o.v); }
    Vector larger(Vector o) const { return {_mm512_max_epi16(v, o.v)}; }
    Vector smaller(Vector o) const { return {_mm512_min_epi16(v, o.v)}; }
    static Vector all(int x) { return {_mm512_set1_epi16(int16_t(x))}; }
};

template <>
struct Vector<int32_t> {
    static constexpr int lanes = 16;
    __m512i v;
    static Vector zero() { return {_mm512_setzero_si512()}; }
    static Vector load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
    static Vector load(const int16_t* p) { return {_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i*)p))}; }
    static Vector narrowed(const int32_t* p) { return load(p); }
    void widened(int32_t* p) const { _mm512_storeu_si512(p, v); }
    Vector operator+(Vector o) const { return {_mm512_add_epi32(v, o.v)}; }
    Vector operator-(Vector o) const { return {_mm512_sub_epi32(v, o.v)}; }
    Vector plus(Vector o) const { return *this + o; }
    Vector add_where(uint64_t m, Vector o) const { return {_mm512_mask_add_epi32(v, __mmask16(m), v, o.v)}; }
    Vector subtract_where(uint64_t m, Vector o) const { return {_mm512_mask_sub_epi32(v, __mmask16(m), v, o.v)}; }
    uint64_t at_least(Vector o) const { return _mm512_cmpge_epi32_mask(v, o.v); }
    Vector larger(Vector o) const { return {_mm512_max_epi32(v, o.v)}; }
    static Vector all(int x) { return {_mm512_set1_epi32(x)}; }
};

template <>
struct Vector<float> {
    static constexpr int lanes = 16;
    __m512 v;
    static Vector zero() { return {_mm512_setzero_ps()}; }
    static Vector load(const float* p) { return {_mm512_loadu_ps(p)}; }
    static Vector narrowed(const float* p) { return load(p); }
    void widened(float* p) const { _mm512_storeu_ps(p, v); }
    Vector operator+(Vector o) const { return {_mm512_add_ps(v, o.v)}; }
    Vector operator-(Vector o) const { return {_mm512_sub_ps(v, o.v)}; }
    Vector plus(Vector o) const { return *this + o; }
    Vector add_where(uint64_t m, Vector o) const { return {_mm512_mask_add_ps(v, __mmask16(m), v, o.v)}; }
    Vector subtract_where(uint64_t m, Vector o) const { return {_mm512_mask_sub_ps(v, __mmask16(m), v, o.v)}; }
    uint64_t at_least(Vector o) const { return _mm512_cmp_ps_mask(v, o.v, _CMP_GE_OQ); }
    Vector larger(Vector o) const { return {_mm512_max_ps(v, o.v)}; }
    static Vector all(float x) { return {_mm512_set1_ps(x)}; }
};

#else

template <class T>
struct Wide {
    typedef T type __attribute__((vector_size(64), aligned(64)));
};

// What differs between types: the integers that a comparison gives, and sums of 16 bits, which stop at the ends of the range.
template <class T>
struct Vector {
    static constexpr int lanes = 64 / int(sizeof(T));
    using Stored = std::conditional_t<std::is_same_v<T, float>, float, int32_t>;
    typename Wide<T>::type v;

    static Vector zero() { return {typename Wide<T>::type{}}; }
    template <class W>
    static Vector load(const W* p) {
        Vector r;
        if constexpr (std::is_same_v<W, T>) {
            std::memcpy(&r.v, p, 64);
        } else {
            for (int i = 0; i < lanes; i++) r.v[i] = T(p[i]);
        }
        return r;
    }
    static Vector narrowed(const Stored* p) { return load(p); }
    void widened(Stored* p) const {
        for (int i = 0; i < lanes; i++) p[i] = Stored(v[i]);
    }
    Vector operator+(Vector o) const { return {v + o.v}; }
    Vector operator-(Vector o) const { return {v - o.v}; }
    Vector plus(Vector o) const {
        if constexpr (!std::is_same_v<T, int16_t>) {
            return *this + o;
        } else {
            Vector r;
            for (int i = 0; i < lanes; i++) {
                int sum = int(v[i]) + int(o.v[i]);
                r.v[i] = T(sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum);
            }
            return r;
        }
    }
    Vector chosen(uint64_t m) const {
        Vector r;
        for (int i = 0; i < lanes; i++) r.v[i] = (m >> i & 1) ? v[i] : T(0);
        return r;
    }
    Vector add_where(uint64_t m, Vector o) const { return m ? *this + o.chosen(m) : *this; }
    Vector subtract_where(uint64_t m, Vector o) const { return m ? *this - o.chosen(m) : *this; }
    uint64_t at_least(Vector o) const {
        auto yes = v >= o.v;
        uint64_t m = 0;
        for (int i = 0; i < lanes; i++) m |= uint64_t(yes[i] & 1) << i;
        return m;
    }
    Vector larger(Vector o) const { return {v > o.v ? v : o.v}; }
    Vector smaller(Vector o) const { return {v < o.v ? v : o.v}; }
    static Vector all(T x) {
        Vector r;
        for (int i = 0; i < lanes; i++) r.v[i] = x;
        return r;
    }
};

#endif

}  // namespace
