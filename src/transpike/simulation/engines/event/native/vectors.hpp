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
    Vector operator+(Vector o) const { return {_mm512_add_epi16(v, o.v)}; }
    Vector operator-(Vector o) const { return {_mm512_sub_epi16(v, o.v)}; }
};

template <>
struct Vector<int32_t> {
    static constexpr int lanes = 16;
    __m512i v;
    static Vector zero() { return {_mm512_setzero_si512()}; }
    static Vector load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
    static Vector half(Vector<int16_t> x, int which) {
        return {_mm512_cvtepi16_epi32(which ? _mm512_extracti64x4_epi64(x.v, 1) : _mm512_castsi512_si256(x.v))};
    }
    void store(int32_t* p) const { _mm512_storeu_si512(p, v); }
    Vector operator+(Vector o) const { return {_mm512_add_epi32(v, o.v)}; }
    Vector operator-(Vector o) const { return {_mm512_sub_epi32(v, o.v)}; }
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
    void store(float* p) const { _mm512_storeu_ps(p, v); }
    Vector operator+(Vector o) const { return {_mm512_add_ps(v, o.v)}; }
    Vector operator-(Vector o) const { return {_mm512_sub_ps(v, o.v)}; }
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

template <class T>
struct Vector {
    static constexpr int lanes = 64 / int(sizeof(T));
    typename Wide<T>::type v;

    static Vector zero() { return {typename Wide<T>::type{}}; }
    static Vector load(const T* p) {
        Vector r;
        std::memcpy(&r.v, p, 64);
        return r;
    }
    static Vector half(Vector<int16_t> x, int which) {
        Vector r;
        for (int i = 0; i < lanes; i++) r.v[i] = x.v[which * lanes + i];
        return r;
    }
    void store(T* p) const { std::memcpy(p, &v, 64); }
    Vector operator+(Vector o) const { return {v + o.v}; }
    Vector operator-(Vector o) const { return {v - o.v}; }
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
    static Vector all(T x) {
        Vector r;
        for (int i = 0; i < lanes; i++) r.v[i] = x;
        return r;
    }
};

#endif

}  // namespace
