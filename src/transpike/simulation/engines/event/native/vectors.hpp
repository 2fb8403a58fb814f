// Vectors of 64 bytes: one form in intrinsics for AVX-512, one of several registers for compilers with vector extensions.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512BW__)
#include <immintrin.h>
#elif defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
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
    void store(int16_t* p) const { _mm512_storeu_si512(p, v); }
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

#if defined(__AVX2__)
constexpr int NATIVE = 32;  // bytes of a register
#else
constexpr int NATIVE = 16;
#endif
constexpr int REGISTERS = 64 / NATIVE;

template <class T>
struct Register {
    typedef T type __attribute__((vector_size(NATIVE)));
    typedef T loose __attribute__((vector_size(NATIVE), aligned(1), may_alias));
};
typedef int16_t Half __attribute__((vector_size(NATIVE / 2), may_alias));
using Whole = Register<int32_t>::type;
constexpr int EACH = NATIVE / 4;  // numbers of 32 bits in a register

// The bit of each lane of register i in a mask.
inline Whole lane_bits(int i) {
    Whole bits;
    for (int k = 0; k < EACH; k++) bits[k] = 1 << (i * EACH + k);
    return bits;
}

// Return the bits of the lanes of register i that are all ones; the others are zeros.
inline uint64_t mask_of_lanes(Whole yes, int i) {
#if defined(__AVX2__)
    return uint64_t(uint32_t(_mm256_movemask_ps((__m256)yes))) << (i * EACH);
#elif defined(__SSE2__)
    return uint64_t(uint32_t(_mm_movemask_ps((__m128)yes))) << (i * EACH);
#else
    uint64_t m = 0;
    yes &= lane_bits(i);
    for (int k = 0; k < EACH; k++) m |= uint64_t(yes[k]);
    return m;
#endif
}

// Several registers, since compilers lower vectors that are wider than one badly.
template <class T>
struct Vector {
    static constexpr int lanes = 64 / int(sizeof(T));
    using Native = typename Register<T>::type;
    using Loose = typename Register<T>::loose;  // a register's worth in memory, at any address
    Native v[REGISTERS];

    static Vector zero() { return {}; }
    static Vector load(const T* p) {
        return each([&](int i) { return *reinterpret_cast<const Loose*>(p + i * (NATIVE / int(sizeof(T)))); });
    }
    static Vector half(const Vector<int16_t>& x, int which) {
        Vector r;
        for (int i = 0; i < REGISTERS; i++) {
            const Half* part = reinterpret_cast<const Half*>(&x) + which * REGISTERS + i;
            r.v[i] = __builtin_convertvector(*part, Whole);
        }
        return r;
    }
    void store(T* p) const {
        for (int i = 0; i < REGISTERS; i++) *reinterpret_cast<Loose*>(p + i * (NATIVE / int(sizeof(T)))) = v[i];
    }
    template <class F>
    static Vector each(F f) {
        Vector r;
        for (int i = 0; i < REGISTERS; i++) r.v[i] = f(i);
        return r;
    }
    Vector operator+(const Vector& o) const {
        return each([&](int i) { return v[i] + o.v[i]; });
    }
    Vector operator-(const Vector& o) const {
        return each([&](int i) { return v[i] - o.v[i]; });
    }
    Vector chosen(uint64_t m) const {
        return each([&](int i) {
            const Whole bits = lane_bits(i), yes = ((Whole{} + int32_t(m)) & bits) == bits;
            return (Native)((Whole)v[i] & yes);
        });
    }
    Vector add_where(uint64_t m, const Vector& o) const { return *this + o.chosen(m); }
    Vector subtract_where(uint64_t m, const Vector& o) const { return *this - o.chosen(m); }
    uint64_t at_least(const Vector& o) const {
        uint64_t m = 0;
        for (int i = 0; i < REGISTERS; i++) m |= mask_of_lanes((Whole)(v[i] >= o.v[i]), i);
        return m;
    }
    Vector larger(const Vector& o) const {
        return each([&](int i) { return v[i] > o.v[i] ? v[i] : o.v[i]; });
    }
    static Vector all(T x) {
        return each([&](int) { return Native{} + x; });
    }
};

#endif

}  // namespace
