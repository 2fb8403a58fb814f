// The kernel for few channels on vectors of 64 bytes, whose lanes are 32 pixels: five inputs of each are a pattern, and one
// shuffle of bytes finds the sums of their weights for all pixels in a table that fills a register.
// A step costs as much whatever spikes.
#pragma once

#include "events.hpp"
#include "layout.hpp"

#if defined(__AVX512VBMI__)

namespace {

constexpr int STEPS = 4, ABREAST = 4;  // steps and channels whose sums are in registers
static_assert(CHUNK % STEPS == 0);

// The spikes that 32 pixels see through one tap of a source in step t, a word for each sixteen channels; `first` are the places
// of the first and of the seventeenth pixel.
inline void see(const Source& source, const uint8_t* const* first, __m512i* words) {
    alignas(64) static const struct Even {
        uint16_t at[32];
        constexpr Even() : at() {
            for (int i = 0; i < 32; i++) at[i] = uint16_t(2 * i);
        }
    } numbers;
    const __m512i even = _mm512_load_si512(numbers.at);
    const __m512i odd = _mm512_add_epi16(even, _mm512_set1_epi16(1));
    const auto load = [](const uint8_t* p) { return _mm512_loadu_si512(p); };
    if (source.padded == 16) {
        if (source.sw == 2) words[0] = _mm512_permutex2var_epi16(load(first[0]), even, load(first[1]));
        else words[0] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256((const __m256i*)first[0])), _mm256_loadu_si256((const __m256i*)first[1]), 1);
        return;
    }
    __m512i both[2];
    const __m512i each = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(even));
    for (int h = 0; h < 2; h++)
        both[h] = source.sw == 2 ? _mm512_permutex2var_epi32(load(first[h]), each, load(first[h] + LINE)) : load(first[h]);
    words[0] = _mm512_permutex2var_epi16(both[0], even, both[1]);
    words[1] = _mm512_permutex2var_epi16(both[0], odd, both[1]);
}

// For each lane the places 2 p and 2 p + 1 of the two bytes of an entry, from two bytes that hold the pattern p from their second bit on.
inline __m512i places(__m512i bytes) {
    constexpr int and_or = 0xea;  // (first & second) | third
    return _mm512_ternarylogic_epi64(bytes, _mm512_set1_epi16(0x3e3e), _mm512_set1_epi16(0x100), and_or);
}

// The same for the inputs from `begin` on of each lane.
inline __m512i places(__m512i word, int begin) {
    const uint64_t at = uint8_t(begin - 1) % 64 * 0x0101ULL, lanes = at | (at + 0x1010) << 16;
    const uint64_t each = (lanes | (lanes + 0x20202020) << 32) & 0x3f3f3f3f3f3f3f3f;
    return places(_mm512_multishift_epi64_epi8(_mm512_set1_epi64(int64_t(each)), word));
}

// Both bytes of each lane as its lower one.
inline __m512i twice(__m512i x) { return _mm512_or_si512(x, _mm512_slli_epi16(x, 8)); }

// A tile of 32 pixels on its way through the steps of a job.
struct PixelRun {
    const Job& job;
    const Stage& s;
    Workspace& w;
    const int channels;  // with those that never fire
    __m512i* patterns;   // [group of inputs][step of STEPS]
    __m512i* words;      // [tap of a diagonal map][step of STEPS][sixteen channels]
    alignas(64) int32_t v[32 * PIXELS], limit[32 * PIXELS];  // [channel][pixel]
    alignas(64) int16_t count[32 * PIXELS];
    __m512i sent[STEPS][2];  // by sixteen channels
    int y, x;
    std::size_t at;

    explicit PixelRun(const Job& job)
        : job(job), s(job.program.stages[job.stage]), w(job.w), channels(s.padded),
          patterns(reinterpret_cast<__m512i*>(w.patterns.get())), words(patterns + std::size_t(groups_of(s)) * STEPS) {}

    void run() {
        std::size_t number = 0;
        for (y = 0; y < s.height; y += s.tile_h)
            for (x = 0; x < s.width; x += s.tile_w, number++) {
                at = number * s.lanes();
                load();
                for (int t = 0; t < job.steps; t += STEPS) {
                    list(t);
                    for (int c = 0; c < channels; c += ABREAST) sum_up(t, c);
                    for (int i = 0; i < STEPS && t + i < job.steps; i++) send(t + i, sent[i]);
                }
                if (job.begin + job.steps < job.request.steps) save();
            }
    }

    // Fill [channel][pixel] from lanes [pixel][channel], of one tile or of all.
    void fill(const int32_t* lanes, bool same, int32_t* out) const {
        for (int c = 0; c < channels; c++)
            for (int p = 0; p < PIXELS; p++) out[c * PIXELS + p] = lanes[same ? c : p * channels + c];
    }

    void load() {
        if (job.begin) fill(w.potential[job.stage].get() + at, false, v);
        else fill(s.starts.get() + (s.uniform ? 0 : at), s.uniform, v);
        fill(s.limits.get() + (s.uniform ? 0 : at), s.uniform, limit);
        std::memset(count, 0, sizeof count);
    }

    // Keep the state for the next chunk.
    void save() const {
        int32_t *potential = w.potential[job.stage].get() + at, *total = w.count[job.stage].get() + at;
        for (int c = 0; c < channels; c++)
            for (int p = 0; p < PIXELS; p++) {
                potential[p * channels + c] = v[c * PIXELS + p];
                int32_t& sum = total[p * channels + c];
                sum = (job.begin ? sum : 0) + count[c * PIXELS + p];
            }
    }

    // List the patterns of all groups of inputs, and the words of diagonal maps, from step t on.
    void list(int t) {
        __m512i *out = patterns, *seen = words;
        for (const Source& source : s.sources) {
            const Stage& from = job.program.stages[source.from];
            const uint8_t* planes = w.bits[from.slot].get() + t * from.bit_row();
            for (int i = 0; i < STEPS; i++, planes += from.bit_row()) {
                if (source.diagonal) watch(source, from, planes, seen + i * channels / 16);
                else list_step(source, from, planes, out + i);
            }
            if (source.diagonal) seen += source.kh * source.kw * STEPS * channels / 16;
            else out += groups_of(source) * STEPS;
        }
        std::memset(sent, 0, sizeof sent);
    }

    template <class F>
    __attribute__((always_inline)) inline void for_taps(const Source& source, const Stage& from, const uint8_t* planes, F f) const {
        const int wide = s.tile_w == PIXELS ? PIXELS / 2 * source.sw : 0, high = wide ? 0 : source.sh;
        const int row = y * source.sh - source.top, column = x * source.sw - source.left, pixel = from.padded / 8;
        for (int a = 0; a < source.kh; a++) {
            const uint8_t* first[2] = {planes + from.bit_place(row + a, column), planes + from.bit_place(row + a + high, column + wide)};
            for (int b = 0; b < source.kw; b++, first[0] += pixel, first[1] += pixel) {
                __m512i found[2];
                see(source, first, found);
                f(found);
            }
        }
    }

    void watch(const Source& source, const Stage& from, const uint8_t* planes, __m512i* out) const {
        for_taps(source, from, planes, [&](const __m512i* found) {
            for (int k = 0; k < channels / 16; k++) out[k] = found[k];
            out += STEPS * channels / 16;
        });
    }

    // Of sixteen inputs three groups are patterns of five; the last ones of five times sixteen inputs are another.
    void list_step(const Source& source, const Stage& from, const uint8_t* planes, __m512i* out) const {
        __m512i last = _mm512_setzero_si512(), *others = out + source.kh * source.kw * source.padded / 16 * 3 * STEPS;
        unsigned place = 1;
        for_taps(source, from, planes, [&](const __m512i* found) {
            for (int k = 0; k < source.padded / 16; k++, out += 3 * STEPS) {
                const __m512i x = found[k];
                for (int g = 0; g < 3; g++) out[g * STEPS] = places(x, 5 * g);
                last = _mm512_or_si512(_mm512_slli_epi16(_mm512_srli_epi16(x, 15), place), last);
                if (place++ < 5) continue;
                *others = places(twice(last)), others += STEPS, last = _mm512_setzero_si512(), place = 1;
            }
        });
        if (place > 1) *others = places(twice(last));
    }

    // Sum what arrives at some channels in STEPS steps, and let them fire.
    void sum_up(int t, int first) {
        __m512i sum[ABREAST][STEPS];
        for (int c = 0; c < ABREAST; c++)
            for (__m512i& each : sum[c]) each = _mm512_set1_epi16(int16_t(s.current[first + c]));
        const __m512i *in = patterns, *seen = words + first / 16;
        for (const Source& source : s.sources) {
            if (source.diagonal) {
                add_diagonal(source, seen, first, sum);
                seen += source.kh * source.kw * STEPS * channels / 16;
                continue;
            }
            const int16_t* table = source.tables.get() + std::size_t(first) * PIXELS;
            for (int g = groups_of(source); g > 0; g--, in += STEPS, table += channels * PIXELS)
                for (int c = 0; c < ABREAST; c++) {
                    const __m512i entries = _mm512_load_si512(table + c * PIXELS);
                    for (int i = 0; i < STEPS; i++) sum[c][i] = _mm512_add_epi16(sum[c][i], _mm512_permutexvar_epi8(in[i], entries));
                }
        }
        for (int c = 0; c < ABREAST; c++) fire(t, first + c, sum[c]);
    }

    __attribute__((always_inline)) inline void add_diagonal(const Source& source, const __m512i* seen, int first, __m512i (*sum)[STEPS]) const {
        for (int tap = 0; tap < source.kh * source.kw; tap++)
            for (int i = 0; i < STEPS; i++, seen += channels / 16)
                for (int c = 0; c < ABREAST; c++) {
                    const __m512i weight = _mm512_set1_epi16(int16_t(source.taps[std::size_t(tap) * s.lanes() + first + c]));
                    const __mmask32 hit = _mm512_test_epi16_mask(*seen, _mm512_set1_epi16(int16_t(1U << (first + c) % 16)));
                    sum[c][i] = _mm512_mask_add_epi16(sum[c][i], hit, sum[c][i], weight);
                }
    }

    __attribute__((always_inline)) inline void fire(int t, int c, const __m512i* sum) {
        int32_t* potential = v + c * PIXELS;
        __m512i u[2], most[2], total = _mm512_load_si512(count + c * PIXELS);
        for (int h = 0; h < 2; h++)
            u[h] = _mm512_load_si512(potential + h * 16), most[h] = _mm512_load_si512(limit + c * PIXELS + h * 16);
        const __m512i bit = _mm512_set1_epi16(int16_t(1U << c % 16)), one = _mm512_set1_epi16(1);
        for (int i = 0; i < STEPS && t + i < job.steps; i++) {
            __mmask16 up[2];
            for (int h = 0; h < 2; h++) {
                const __m256i half = h ? _mm512_extracti64x4_epi64(sum[i], 1) : _mm512_castsi512_si256(sum[i]);
                u[h] = _mm512_add_epi32(u[h], _mm512_cvtepi16_epi32(half));
                up[h] = _mm512_cmpge_epi32_mask(u[h], most[h]);
                u[h] = _mm512_mask_sub_epi32(u[h], up[h], u[h], most[h]);
            }
            const __mmask32 fired = _mm512_kunpackw(up[1], up[0]);
            total = _mm512_mask_add_epi16(total, fired, total, one);
            __m512i& word = sent[i][c / 16];
            word = _mm512_mask_add_epi16(word, fired, word, bit);
            if (w.checkpoint[t + i] >= 0 && job.request.counts[job.stage]) {
                _mm512_store_si512(count + c * PIXELS, total);
                note_counts(t + i, c);
            }
        }
        for (int h = 0; h < 2; h++) _mm512_store_si512(potential + h * 16, u[h]);
        _mm512_store_si512(count + c * PIXELS, total);
    }

    // How many pixels of a half of the tile are inside of the map, and where the first of them is.
    int inside(int half, int& row, int& column) const {
        const bool below = s.tile_w < PIXELS;
        row = y + (below ? half : 0), column = x + (below ? 0 : half * PIXELS / 2);
        return row < s.height ? std::max(0, std::min(PIXELS / 2, s.width - column)) : 0;
    }

    void note_counts(int t, int c) const {
        if (c >= s.channels) return;
        const std::size_t from = std::size_t(w.checkpoint[t]) * job.request.samples + job.sample;
        float* out = job.request.counts[job.stage] + from * sample_size(s) + c;
        const int32_t* before = w.count[job.stage].get() + at + c;
        for (int half = 0; half < 2; half++) {
            int row, column;
            const int number = inside(half, row, column);
            for (int p = 0; p < number; p++) {
                const int pixel = half * PIXELS / 2 + p;
                const float total = float(count[c * PIXELS + pixel] + (job.begin ? before[pixel * channels] : 0));
                out[(std::size_t(row) * s.width + column + p) * s.channels] = total;
            }
        }
    }

    // Write the spikes of a step.
    void send(int t, const __m512i* sent) const {
        for (int half = 0; half < 2; half++) {
            int row, column;
            const int number = inside(half, row, column);
            if (number == 0) continue;
            const auto of_half = [half](__m512i x) { return half ? _mm512_extracti64x4_epi64(x, 1) : _mm512_castsi512_si256(x); };
            const __mmask16 valid = __mmask16((1U << number) - 1);
            uint8_t* bits = w.bits[s.slot].get() + s.bit_place(row, column) + t * s.bit_row();
            const __m256i low = of_half(sent[0]), high = of_half(sent[1]);
            if (s.wants_bits && channels == 16) _mm256_mask_storeu_epi16(bits, valid, low);
            if (s.wants_bits && channels == 32)
                _mm512_mask_storeu_epi32(bits, valid, _mm512_or_si512(_mm512_cvtepu16_epi32(low), _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16)));
            if (s.wants_bytes) send_bytes(t, row, column, number, low, high);
        }
    }

    void send_bytes(int t, int row, int column, int number, __m256i low, __m256i high) const {
        alignas(32) uint16_t each[2][PIXELS / 2];
        _mm256_store_si256((__m256i*)each[0], low), _mm256_store_si256((__m256i*)each[1], high);
        uint8_t* bytes = w.bytes[s.slot].get() + s.byte_place(row, column) + t * s.byte_row();
        for (int p = 0; p < number; p++)
            for (int k = 0; k < channels / 16; k++) spread(each[k][p], bytes + p * channels + k * 16);
    }
};

inline std::size_t pattern_bytes(const Stage& s) {
    std::size_t vectors = groups_of(s);
    for (const Source& source : s.sources) vectors += source.diagonal ? source.kh * source.kw * s.padded / 16 : 0;
    return vectors * STEPS * sizeof(__m512i);
}

// Run a stage pixels abreast.
inline void run_pixels(const std::vector<Job>& jobs) {
    for (const Job& job : jobs) PixelRun(job).run();
}

}  // namespace

#endif
