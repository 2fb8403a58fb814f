// Samples that end early: when the first class leads, and what the spikes of the rest of a chunk are to be taken back.
#pragma once

#include <array>
#include <cstring>
#include <limits>

#include "events.hpp"

namespace {

// Return the step of the chunk, from 0, at which a sample is decided, or -1: see `EarlyExit`, whose sums these are.
int decided_at(const Program& program, const Request& request, Workspace& w, int sample, int begin, int steps) {
    const std::size_t size = sample_size(program.stages[request.exit_stage]);
    if (begin == 0) w.accumulated.assign(size, 0.0F);
    for (int t = 0; t < steps; t++) {
        if (begin + t == request.exit_delay) std::fill(w.accumulated.begin(), w.accumulated.end(), 0.0F);
        const float* x = request.answers[request.exit_stage] + (std::size_t(begin + t) * request.samples + sample) * size;
        float first = -std::numeric_limits<float>::infinity(), second = first;
        for (std::size_t c = 0; c < size; c++) {
            const float v = w.accumulated[c] += x[c];
            second = v > first ? first : std::max(second, v), first = std::max(first, v);
        }
        if (begin + t >= request.exit_delay && first - second >= float(request.exit_margin)) return t;
    }
    return -1;
}

// A table of bytes 0 or 1, one for each bit of a byte.
std::array<uint64_t, 256> spread_bits() {
    std::array<uint64_t, 256> table{};
    for (int byte = 0; byte < 256; byte++)
        for (int bit = 0; bit < 8; bit++) table[byte] |= uint64_t(byte >> bit & 1) << (8 * bit);
    return table;
}

// Call f(row, counts) for the rows of a stage: how often each neuron [width][channels] fires in the steps `from` .. `to` - 1 of the chunk.
// Counts are added bit by bit, for all neurons of a row at once.
template <class F>
void for_late_spikes(const Stage& s, const Buffer<uint8_t>& bits, int from, int to, F f) {
    static const std::array<uint64_t, 256> spread = spread_bits();
    const std::size_t words = (std::size_t(s.width) * s.padded / 8 + 7) / 8;
    std::vector<uint64_t> planes(5 * words);  // of counts up to 31
    std::vector<uint8_t> counts(std::size_t(s.width) * s.channels + 8);
    for (int y = 0; y < s.height; y++) {
        std::fill(planes.begin(), planes.end(), 0);
        for (int t = from; t < to; t++) {
            const uint8_t* row = bits.get() + s.bit_place(y, 0) + t * s.bit_row();
            for (std::size_t i = 0; i < words; i++) {
                uint64_t carry;
                std::memcpy(&carry, row + 8 * i, 8);
                for (int k = 0; k < 5; k++) {
                    const uint64_t both = planes[k * words + i] & carry;
                    planes[k * words + i] ^= carry, carry = both;
                }
            }
        }
        for (int x = 0; x < s.width; x++)
            for (int c = 0; c < s.channels; c += 8) {  // what is written beyond the last channel is overwritten
                const std::size_t byte = (std::size_t(x) * s.padded + c) / 8;
                uint64_t eight = 0;
                for (int k = 0; k < 5; k++) eight += spread[planes[k * words + byte / 8] >> (byte % 8 * 8) & 255] << k;
                std::memcpy(counts.data() + std::size_t(x) * s.channels + c, &eight, 8);
            }
        f(y, counts.data());
    }
}

// Let the counts of a sample be those after step `t` of the chunk, which it has run to the end, and stay so.
void end_sample(const Program& program, const Request& request, const Workspace& w, int sample, int begin, int t, int steps) {
    for (std::size_t i = 0; i < program.stages.size(); i++) {
        const Stage& s = program.stages[i];
        if (s.kind == Kind::ReadOut) continue;
        const std::size_t size = sample_size(s), samples = request.samples;
        float* last = request.counts[i] + (std::size_t(request.checkpoints - 1) * samples + sample) * size;
        const float* now = request.counts[i] + (std::size_t(w.checkpoint[steps - 1]) * samples + sample) * size;
        if (now != last) std::copy(now, now + size, last);
        float* net = request.nets[i] ? request.nets[i] + sample * size : nullptr;
        auto take = [&](float sign) {
            return [=, &s](int y, const uint8_t* late) {
                const std::size_t row = std::size_t(s.width) * s.channels, at = y * row;
                for (std::size_t i = 0; i < row; i++) last[at + i] -= float(late[i]);
                for (std::size_t i = 0; net && i < row; i++) net[at + i] -= sign * float(late[i]);
            };
        };
        for_late_spikes(s, w.bits[s.slot], t + 1, steps, take(1));
        if (s.kind == Kind::Ternary) for_late_spikes(s, w.negatives[s.slot], t + 1, steps, take(-1));
        for (int k = 0; k < request.checkpoints - 1; k++)
            if (request.checkpoint_steps[k] > begin + t)
                std::copy(last, last + size, request.counts[i] + (std::size_t(k) * samples + sample) * size);
        for (int later = t + 1; request.trains[i] && later < steps; later++)
            std::fill_n(request.trains[i] + (std::size_t(begin + later) * samples + sample) * size, size, uint8_t(0));
    }
}

}  // namespace
