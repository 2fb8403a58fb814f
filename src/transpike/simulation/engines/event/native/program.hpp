// What a spiking network is to the event engine: stages of neurons, each fed by linear maps of the spikes of earlier stages.
//
// Spikes of one sample are kept for a chunk of time steps, as bits [row][step][column][channel] and, for dense kernels, as
// bytes of the same shape: what a tile reads in all steps lies close together. Rows and columns have borders of zeros, so
// that no kernel looks whether it is inside. Channels are padded to 16, 32 or a multiple of 64, and those never fire.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

namespace transpike {

constexpr std::size_t LINE = 64;        // bytes of a cache line, and of a vector
constexpr std::size_t SLACK = 4096;     // bytes that kernels may read past the end of a buffer
constexpr int CHUNK = 32;               // time steps that are computed together
constexpr int HALF = 16;                // time steps that one dense tile computes
constexpr int PARTS[] = {5, 5, 6};      // of sixteen inputs, each with a table that has a row for each pattern of their spikes
constexpr int PATTERNS = 32 + 32 + 64;
constexpr int PIXELS = 32;              // of a tile whose pixels are lanes
constexpr int GROUP = 8;                // samples that share the weights of a stage while these are in the cache
constexpr std::size_t HEAVY = 512 << 10;  // bytes of weights for which that pays
static_assert(CHUNK == 2 * HALF, "dense kernels compute two tiles at a time");

struct Release {
    void operator()(void* p) const { std::free(p); }
};

// Memory on a cache line, zeroed.
template <class T>
struct Buffer {
    std::unique_ptr<T, Release> data;
    std::size_t size = 0;

    Buffer() = default;
    explicit Buffer(std::size_t count);
    T* get() const { return data.get(); }
    T& operator[](std::size_t i) const { return data.get()[i]; }
    bool empty() const { return size == 0; }
};

template <class T>
Buffer<T>::Buffer(std::size_t count) : size(count) {
    std::size_t bytes = (count * sizeof(T) + SLACK + LINE - 1) / LINE * LINE;
    void* memory = std::aligned_alloc(LINE, bytes);
    if (!memory) throw std::bad_alloc();
    __builtin_memset(memory, 0, bytes);
    data.reset(static_cast<T*>(memory));
}

enum class Kind : int { Fire = 0, Ternary = 1, ReadOut = 2 };
enum class Kernel : int { Event = 0, Dense = 1, Column = 2, Table = 3, Pixel = 4 };

inline int padded_channels(int channels) {
    if (channels <= 16) return 16;
    if (channels <= 32) return 32;
    return (channels + 63) / 64 * 64;
}

// y[o, p, q] += sum of weight[o, i, a, b] x[i, p sh - top + a, q sw - left + b]; a diagonal map has o = i only.
struct Source {
    int from, channels, padded;
    int kh, kw, sh, sw, top, left;
    bool diagonal;
    std::vector<float> weights;         // [out][in][kh][kw], or [out][kh][kw] of a diagonal map

    int patch_rows = 0, patch_bits = 0;  // of the input under one unit of a tile
    int first_row = 0;                   // of its weights among those of its stage
    int chunks = 0;                      // of 64 bytes in a row of the kernel, for dense kernels
    Buffer<int8_t> tiles;                // [block of 16][kernel row][chunk][low, high][16 rows x 64 bytes]
    Buffer<int16_t> tables;              // [kernel row][sixteen inputs][pattern of a part][channel], or [group][channel][pattern]
    Buffer<int32_t> taps;                // weights of a diagonal map [kh kw][block][lane]
    Buffer<float> float_taps;
};

struct Stage {
    Kind kind;
    int channels, height, width;               // of what it sends
    int pool_h, pool_w;                        // the window of a maximum of accumulated currents before the neurons; 1: none
    int bias_rows, delay;
    bool forgives;
    int bits = 0;                              // of its potentials, which stay at the ends of their range; 0: no limit
    bool wraps = false;                        // or go on at the other end
    double unit;                               // its numbers are multiples of 1 / unit, kept as integers; 0: floats
    int padded;                                // channels with those that never fire
    std::vector<float> bias;                   // [bias_rows][channels], where it changes from step to step
    std::vector<float> initial, threshold, retract;  // [height][width][channels]
    std::vector<float> constant;               // [channels]: its current, if that is settled
    std::vector<Source> sources;

    bool narrow = true;                        // whether all weights fit 16 bits
    int event_rows = 0;                        // of weights, over all sources
    int safe = 0;                              // rows whose sum is sure to fit 16 bits with the rest, whichever they are
    bool held = true;                          // whether 16 bits leave room for that rest
    int32_t rest = 0;                          // the most that diagonal maps and settled currents bring in a step
    Buffer<int16_t> short_rows;                // [block][row][lane]
    Buffer<int32_t> long_rows;
    Buffer<float> float_rows;
    Buffer<int32_t> reach;                     // [block][row]: the largest magnitude in a row
    bool uniform = true;                       // whether its constants are the same at all places: kept for one tile alone
    bool settled = false;                      // whether its currents are the same for all samples and places: kept here
    Buffer<int32_t> starts, limits, returns;   // by lane: initial potential, threshold, where it takes a spike back
    Buffer<float> float_starts, float_limits, float_returns;
    Buffer<int32_t> current;
    Buffer<float> float_current;

    Kernel kernel = Kernel::Event;
    int slot = 0;                              // which buffers of a workspace hold its spikes
    bool wants_bits = false, wants_bytes = false;
    int above = 0, left = 0, below = 0, right = 0;    // the border of its planes
    int tile_h = 1, tile_w = 1, block = 0, blocks = 0;
    int unit_h = 1, unit_w = 1;                // of the pixels of a tile that share rows of weights

    bool integer() const { return unit > 0; }
    int pixels() const { return tile_h * tile_w; }
    int lanes() const { return pixels() * block; }
    int unit_lanes() const { return unit_h * unit_w * block; }
    int units() const { return pixels() / (unit_h * unit_w); }
    int rows() const { return height + above + below; }
    int columns() const { return width + left + right; }
    std::size_t bit_row() const { return (std::size_t(columns()) * padded / 8 + 7) / 8 * 8; }
    // An odd number of lines, so that the same place in many steps does not fall into one set of the cache.
    std::size_t byte_row() const { return ((std::size_t(columns()) * padded + LINE - 1) / LINE | 1) * LINE; }
    std::size_t bit_place(int y, int x) const {
        return std::size_t(y + above) * CHUNK * bit_row() + std::size_t(x + left) * padded / 8;
    }
    std::size_t byte_place(int y, int x) const {
        return std::size_t(y + above) * CHUNK * byte_row() + std::size_t(x + left) * padded;
    }
    std::size_t bit_bytes() const { return rows() * CHUNK * bit_row(); }
    std::size_t byte_bytes() const { return rows() * CHUNK * byte_row(); }
};

// What one run is asked for; pointers of stages may be null.
struct Request {
    int samples, steps;
    const float* const* currents;       // [stage] -> [samples or 1][height ph][width pw][channels]: what does not change in time
    const int* current_samples;         // [stage] -> samples, 1 or 0
    float* const* answers;              // [stage] -> [steps][samples][height][width][channels], what reaches a read-out
    int checkpoints;
    const int* checkpoint_steps;
    float* const* counts;               // [stage] -> [checkpoints][samples][height][width][channels]
    float* const* nets;                 // [stage] -> [samples][height][width][channels], ternary stages
    uint8_t* const* trains;             // [stage] -> [steps][samples][height][width][channels], 1 where it fired
    int threads;
    int exit_stage, exit_delay;         // whose first class ends a sample once it leads by the margin after the delay; -1: none
    double exit_margin;
};

// The spikes that one source sends to a row of units in a chunk, ordered by step and by column.
struct Spikes {
    const Source* source;
    bool back;              // whether they are taken back
    std::size_t events, ends;  // where they begin, and where the list of their ends [step][column + 1] does
    int columns;
};

// What one thread keeps of the sample that it runs; vectors have an entry per stage, those of spikes one per slot.
struct Workspace {
    std::vector<Buffer<uint8_t>> bits, negatives, bytes;
    std::vector<Buffer<int32_t>> potential, current, count, net;   // by lane, kept between chunks
    std::vector<Buffer<float>> float_potential, float_current;
    Buffer<uint16_t> events;
    std::vector<uint32_t> ends;                                    // of the events of each step, positive and negative
    std::vector<int> checkpoint;                                   // of each step of the chunk: its number, or -1
    std::vector<Spikes> spikes;                                    // of the sources of some rows of tiles, by column
    Buffer<uint16_t> columns;                                      // their events
    Buffer<uint32_t> column_ends;
    Buffer<int16_t> sums;                                          // what reaches a tile [unit][step][lane]
    std::vector<int> tried, failed;                                // tiles of a stage run in 16 bits, and of those in vain
    Buffer<int32_t> scratch;                                       // sums of a dense kernel
    Buffer<uint8_t> patterns;                                      // of the inputs of pixels, for some steps
    Buffer<uint8_t> waste;                                         // spikes outside of images
    Buffer<uint64_t> taps, short_taps;                             // of diagonal maps
    std::vector<float> accumulated;                                // the sums of the answers of a sample that may end early
};

struct Program {
    std::vector<Stage> stages;
};

// What is run: a stage of one sample, from step `begin` on.
struct Job {
    const Program& program;
    const Request& request;
    Workspace& w;
    int stage, sample, begin, steps;
};

}  // namespace transpike
