// Lay a program out for its kernels: tiles, borders, buffers, and the weights in the order in which kernels read them.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "program.hpp"

namespace transpike {

constexpr int32_t NEVER = 32767;  // a threshold that padded lanes, whose potential stays 0, do not reach
constexpr int32_t NARROW = 32639; // the largest weight of two signed bytes
constexpr int32_t LARGEST = 32767;
constexpr int32_t UNSETTLED = 8192;  // the largest current that 16 bits leave room for beside sums of spikes
constexpr int TALL = 32;          // channels up to which a unit of events by column is two pixels high

inline int32_t whole(const Stage& s, float x) { return int32_t(std::lrint(double(x) * s.unit)); }

// Tiles for events by column: small ones, since no event is listed twice along a row. Pixels of a pool are units of their own.
inline void choose_column_tiles(Stage& s) {
    const bool pooled = s.pixels() > 1;
    s.block = s.padded >= 64 ? 64 : s.padded;
    if (!pooled && s.padded <= TALL && s.height > 1) s.tile_h = 2;
    s.unit_h = pooled ? 1 : s.tile_h, s.unit_w = pooled ? 1 : s.tile_w;
}

// Tiles for tables: of the pixels of a pool, or of two.
inline void choose_table_tiles(Stage& s) {
    s.block = s.padded, s.blocks = 1, s.unit_h = s.unit_w = 1;
    if (s.pixels() == 1 && s.height > 1) s.tile_h = 2;
}

// Tiles whose pixels are the lanes of a vector: of one row, or of two short ones.
inline void choose_pixel_tiles(Stage& s) {
    s.block = s.padded, s.blocks = 1, s.unit_h = s.unit_w = 1;
    s.tile_w = s.width > PIXELS / 2 ? PIXELS : PIXELS / 2, s.tile_h = PIXELS / s.tile_w;
}

inline void choose_tiles(Stage& s) {
    s.tile_h = s.pool_h, s.tile_w = s.pool_w;
    if (s.kernel == Kernel::Table) return choose_table_tiles(s);
    if (s.kernel == Kernel::Pixel) return choose_pixel_tiles(s);
    if (s.kernel == Kernel::Column) {
        choose_column_tiles(s);
        s.blocks = (s.padded + s.block - 1) / s.block;
        return;
    }
    if (s.kernel == Kernel::Dense) {
        s.block = 16;
        if (s.pixels() == 1) s.tile_w = s.width % 2 == 0 ? 2 : 1;
    } else if (s.pixels() > 1) {
        s.block = s.padded >= 32 ? 32 : 16;
    } else {
        s.block = s.padded % 128 == 0 ? 128 : s.padded >= 64 ? 64 : std::max(s.padded, s.height * s.width == 1 ? 32 : 16);
        if (s.padded <= 64 && s.width > 1) s.tile_w = 2;
        if (s.padded <= 32 && s.height > 1) s.tile_h = 2;
        if (s.lanes() == 16) s.block = 32;  // rows of 16-bit weights fill a vector
    }
    s.blocks = (s.padded + s.block - 1) / s.block;
    s.unit_h = s.tile_h, s.unit_w = s.tile_w;
}

inline int tiles_of(const Stage& s) {
    const int h = s.height * s.pool_h, w = s.width * s.pool_w;
    return ((h + s.tile_h - 1) / s.tile_h) * ((w + s.tile_w - 1) / s.tile_w);
}

inline std::size_t lanes_of(const Stage& s) { return std::size_t(tiles_of(s)) * s.blocks * s.lanes(); }

// Widen the border of the stage that a source listens to, to what its tiles read.
inline void widen_border(const Stage& s, const Source& source, Stage& from) {
    const int h = (s.height * s.pool_h + s.tile_h - 1) / s.tile_h * s.tile_h, w = (s.width * s.pool_w + s.tile_w - 1) / s.tile_w * s.tile_w;
    from.above = std::max(from.above, source.top);
    from.left = std::max(from.left, source.left);
    from.below = std::max(from.below, (h - 1) * source.sh - source.top + source.kh - from.height);
    from.right = std::max(from.right, (w - 1) * source.sw - source.left + source.kw - from.width);
}

// Call f(lane, y, x, channel) for every lane of a stage that stands for a value of the map before pooling.
template <class F>
void for_lanes(const Stage& s, F f) {
    const int h = s.height * s.pool_h, w = s.width * s.pool_w;
    std::size_t lane = 0;
    for (int ty = 0; ty < h; ty += s.tile_h)
        for (int tx = 0; tx < w; tx += s.tile_w)
            for (int b = 0; b < s.blocks; b++)
                for (int p = 0; p < s.pixels(); p++)
                    for (int c = b * s.block; c < (b + 1) * s.block; c++, lane++) {
                        const int y = ty + p / s.tile_w, x = tx + p % s.tile_w;
                        if (y < h && x < w && c < s.channels) f(lane, y, x, c);
                    }
}

// Whether each channel of a map [height][width][channels] has one value.
inline bool same_everywhere(const Stage& s, const std::vector<float>& map) {
    for (std::size_t i = s.channels; i < map.size(); i++)
        if (map[i] != map[i - s.channels]) return false;
    return true;
}

// Spread a map [height][width][channels] over lanes, those of one tile if it is uniform; lanes without a neuron get `rest`.
template <class T, class F>
Buffer<T> spread_over_lanes(const Stage& s, const std::vector<float>& map, bool uniform, T rest, F convert) {
    Buffer<T> lanes(uniform ? std::size_t(s.blocks) * s.lanes() : lanes_of(s));
    std::fill_n(lanes.get(), lanes.size, rest);
    if (map.empty()) return lanes;
    if (uniform) {
        for (int lane = 0; lane < s.blocks * s.lanes(); lane++) {
            const int c = lane / s.lanes() * s.block + lane % s.block;
            if (c < s.channels) lanes[lane] = convert(map[c]);
        }
        return lanes;
    }
    for_lanes(s, [&](std::size_t lane, int y, int x, int c) {
        lanes[lane] = convert(map[(std::size_t(y / s.pool_h) * s.width + x / s.pool_w) * s.channels + c]);
    });
    return lanes;
}

inline void pack_constants(Stage& s) {
    s.uniform = same_everywhere(s, s.initial) && same_everywhere(s, s.threshold) && same_everywhere(s, s.retract);
    if (s.integer()) {
        auto convert = [&](float x) { return whole(s, x); };
        s.starts = spread_over_lanes<int32_t>(s, s.initial, s.uniform, 0, convert);
        s.limits = spread_over_lanes<int32_t>(s, s.threshold, s.uniform, NEVER, convert);
        s.returns = spread_over_lanes<int32_t>(s, s.retract, s.uniform, -NEVER, convert);
        s.current = spread_over_lanes<int32_t>(s, s.constant, true, 0, convert);
    } else {
        auto convert = [](float x) { return x; };
        s.float_starts = spread_over_lanes<float>(s, s.initial, s.uniform, 0.0F, convert);
        s.float_limits = spread_over_lanes<float>(s, s.threshold, s.uniform, 1e30F, convert);
        s.float_returns = spread_over_lanes<float>(s, s.retract, s.uniform, -1e30F, convert);
        s.float_current = spread_over_lanes<float>(s, s.constant, true, 0.0F, convert);
    }
}

inline float weight_of(const Source& s, int o, int i, int a, int b) {
    return s.weights[((std::size_t(o) * s.channels + i) * s.kh + a) * s.kw + b];
}

// Return the row of weights of an input under a unit: in rows of the image, or in columns where lists of events are.
inline int row_of(const Stage& stage, const Source& s, int r, int column, int i) {
    if (stage.kernel == Kernel::Column) return s.first_row + (column * s.patch_rows + r) * s.padded + i;
    return s.first_row + r * s.patch_bits + column * s.padded + i;
}

// Call f(row, lane, weight) for the weights of a block, for units of tiles: a row per input under the patch.
template <class F>
void for_rows(const Stage& stage, const Source& s, int block, F f) {
    for (int p = 0; p < stage.unit_h * stage.unit_w; p++)
        for (int a = 0; a < s.kh; a++)
            for (int b = 0; b < s.kw; b++) {
                const int r = (p / stage.unit_w) * s.sh + a, column = (p % stage.unit_w) * s.sw + b;
                for (int i = 0; i < s.channels; i++)
                    for (int c = 0; c < stage.block && block * stage.block + c < stage.channels; c++)
                        f(row_of(stage, s, r, column, i), p * stage.block + c, weight_of(s, block * stage.block + c, i, a, b));
            }
}

// Return the most that diagonal maps and currents can bring to a neuron in a step; currents that are not settled are kept below UNSETTLED.
inline int32_t most_of_rest(const Stage& stage) {
    int64_t most = stage.settled ? 0 : UNSETTLED;
    for (float x : stage.constant) most = std::max<int64_t>(most, std::abs(whole(stage, x)));
    for (const Source& s : stage.sources) {
        if (!s.diagonal) continue;
        int64_t largest = 0;
        for (int c = 0; c < stage.channels; c++) {
            int64_t total = 0;
            for (int tap = 0; tap < s.kh * s.kw; tap++) total += std::abs(whole(stage, s.weights[std::size_t(c) * s.kh * s.kw + tap]));
            largest = std::max(largest, total);
        }
        most += largest;
    }
    return int32_t(std::min<int64_t>(most, LARGEST));
}

// Return how many rows of a block can be added in 16 bits, whichever they are; all of them if no lane can overflow.
inline int safe_rows(const Stage& stage, int block) {
    const int lanes = stage.unit_lanes(), rows = stage.event_rows;
    std::vector<int64_t> totals(lanes);
    const int16_t* row = stage.short_rows.get() + std::size_t(block) * rows * lanes;
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < lanes; k++) totals[k] += std::abs(int(*row++));
    if (totals.empty() || *std::max_element(totals.begin(), totals.end()) <= LARGEST - stage.rest) return rows;
    const int32_t* reach = stage.reach.get() + std::size_t(block) * rows;
    std::vector<int32_t> sorted(reach, reach + rows);
    std::sort(sorted.rbegin(), sorted.rend());
    int64_t total = 0;
    int count = 0;
    while (count < rows && (total += sorted[count]) <= LARGEST - stage.rest) count++;
    return count;
}

inline void pack_rows(Stage& stage) {
    stage.event_rows = 0;
    for (Source& s : stage.sources) {
        if (s.diagonal) continue;
        s.patch_rows = (stage.unit_h - 1) * s.sh + s.kh;
        s.patch_bits = ((stage.unit_w - 1) * s.sw + s.kw) * s.padded;
        s.first_row = stage.event_rows;
        stage.event_rows += s.patch_rows * s.patch_bits;
    }
    const std::size_t rows = std::size_t(stage.blocks) * stage.event_rows, size = rows * stage.unit_lanes();
    stage.reach = Buffer<int32_t>(rows);
    const bool integer = stage.integer();
    if (!integer) stage.float_rows = Buffer<float>(size);
    else if (stage.narrow) stage.short_rows = Buffer<int16_t>(size);
    else stage.long_rows = Buffer<int32_t>(size);
    stage.safe = stage.event_rows;
    if (stage.kernel == Kernel::Column) stage.rest = most_of_rest(stage);
    if (stage.kind != Kind::Fire || stage.rest > LARGEST / 2) stage.rest = 0, stage.held = false;
    for (int block = 0; block < stage.blocks; block++) {
        for (const Source& s : stage.sources) {
            if (s.diagonal) continue;
            for_rows(stage, s, block, [&](int row, int lane, float weight) {
                const std::size_t r = std::size_t(block) * stage.event_rows + row, at = r * stage.unit_lanes() + lane;
                if (!integer) {
                    stage.float_rows[at] = weight;
                    return;
                }
                const int32_t value = whole(stage, weight);
                if (stage.narrow) stage.short_rows[at] = int16_t(value);
                else stage.long_rows[at] = value;
                stage.reach[r] = std::max(stage.reach[r], std::abs(value));
            });
        }
        if (stage.kernel == Kernel::Column) stage.safe = std::min(stage.safe, safe_rows(stage, block));
    }
}

// The most that spikes of all inputs, whichever they are, bring to a neuron.
inline int64_t most_of_sums(const Stage& stage) {
    int64_t most = 0;
    for (int o = 0; o < stage.channels; o++) {
        int64_t total = 0;
        for (const Source& s : stage.sources) {
            const std::size_t each = std::size_t(s.channels) * s.kh * s.kw;
            for (std::size_t i = 0; i < (s.diagonal ? 0 : each); i++) total += std::abs(whole(stage, s.weights[o * each + i]));
        }
        most = std::max(most, total);
    }
    return most;
}

// Tables of sums: a weight is part of the rows of all patterns in which its input spikes.
inline void pack_tables(const Stage& stage, Source& s) {
    s.tables = Buffer<int16_t>(std::size_t(s.kh) * s.kw * s.padded / 16 * PATTERNS * stage.block);
    for (int o = 0; o < stage.channels; o++)
        for (int a = 0; a < s.kh; a++)
            for (int b = 0; b < s.kw; b++)
                for (int i = 0; i < s.channels; i++) {
                    const int16_t weight = int16_t(whole(stage, weight_of(s, o, i, a, b)));
                    const std::size_t word = ((std::size_t(a) * s.kw + b) * s.padded + i) / 16;
                    int16_t* table = s.tables.get() + word * PATTERNS * stage.block + o;
                    int part = 0, bit = i % 16;
                    for (; bit >= PARTS[part]; part++) bit -= PARTS[part], table += (1 << PARTS[part]) * stage.block;
                    for (int pattern = 0; pattern < 1 << PARTS[part]; pattern++)
                        if (pattern >> bit & 1) table[pattern * stage.block] += weight;
                }
}

// Groups of five inputs: three of each sixteen, and one of the last ones of five times sixteen.
inline int groups_of(const Source& s) {
    const int words = s.kh * s.kw * s.padded / 16;
    return s.diagonal ? 0 : 3 * words + (words + 4) / 5;
}

inline int groups_of(const Stage& stage) {
    int groups = 0;
    for (const Source& s : stage.sources) groups += groups_of(s);
    return groups;
}

// Tables of the sums of five inputs, an entry for each pattern of their spikes.
inline void pack_patterns(const Stage& stage, Source& s) {
    s.tables = Buffer<int16_t>(std::size_t(groups_of(s)) * stage.padded * 32);
    const int words = s.kh * s.kw * s.padded / 16;
    for (int o = 0; o < stage.channels; o++)
        for (int a = 0; a < s.kh; a++)
            for (int b = 0; b < s.kw; b++)
                for (int i = 0; i < s.channels; i++) {
                    const int word = ((a * s.kw + b) * s.padded + i) / 16, bit = i % 16;
                    const int group = bit < 15 ? 3 * word + bit / 5 : 3 * words + word / 5, place = bit < 15 ? bit % 5 : word % 5;
                    const int16_t weight = int16_t(whole(stage, weight_of(s, o, i, a, b)));
                    int16_t* table = s.tables.get() + (std::size_t(group) * stage.padded + o) * 32;
                    for (int pattern = 0; pattern < 32; pattern++)
                        if (pattern >> place & 1) table[pattern] += weight;
                }
}

// Weights of 16 outputs for 64 inputs: [4 inputs][16 outputs][4 inputs], low bytes and then high bytes.
inline void pack_tiles(const Stage& stage, Source& s) {
    s.chunks = s.diagonal ? s.kw : (s.kw * s.padded + 63) / 64;
    s.tiles = Buffer<int8_t>(std::size_t(stage.blocks) * s.kh * s.chunks * 2048);
    auto put = [&](int o, int a, int chunk, int k, float weight) {
        const int value = whole(stage, weight), low = int8_t(value & 255), high = (value - low) >> 8;
        std::size_t at = ((std::size_t(o / 16) * s.kh + a) * s.chunks + chunk) * 2048;
        at += std::size_t(k / 4) * 64 + o % 16 * 4 + k % 4;
        s.tiles[at] = int8_t(low), s.tiles[at + 1024] = int8_t(high);
    };
    for (int o = 0; o < stage.channels; o++)
        for (int a = 0; a < s.kh; a++)
            for (int b = 0; b < s.kw; b++) {
                if (s.diagonal) put(o, a, b, o % 16, s.weights[(std::size_t(o) * s.kh + a) * s.kw + b]);
                else
                    for (int i = 0; i < s.channels; i++)
                        put(o, a, (b * s.padded + i) / 64, (b * s.padded + i) % 64, weight_of(s, o, i, a, b));
            }
}

inline void pack_taps(const Stage& stage, Source& s) {
    const std::size_t size = std::size_t(s.kh) * s.kw * stage.blocks * stage.lanes();
    const bool integer = stage.integer();
    s.taps = Buffer<int32_t>(integer ? size : 0), s.float_taps = Buffer<float>(integer ? 0 : size);
    for (int tap = 0; tap < s.kh * s.kw; tap++)
        for (int block = 0; block < stage.blocks; block++)
            for (int lane = 0; lane < stage.lanes(); lane++) {
                const int c = block * stage.block + lane % stage.block;
                if (c >= stage.channels) continue;
                const float weight = s.weights[std::size_t(c) * s.kh * s.kw + tap];
                const std::size_t at = (std::size_t(tap) * stage.blocks + block) * stage.lanes() + lane;
                if (integer) s.taps[at] = whole(stage, weight);
                else s.float_taps[at] = weight;
            }
}

// Give stages that are never needed at once, and are laid out alike, the same buffers, unless all are to be kept. Returns how many
// there are.
inline int share_slots(Program& program, bool keep) {
    std::vector<int> last(program.stages.size());
    for (std::size_t i = 0; i < program.stages.size(); i++) {
        last[i] = int(i);
        for (const Source& s : program.stages[i].sources) last[s.from] = int(i);
    }
    using Shape = std::tuple<int, int, int, int, int, int, int>;
    std::map<Shape, std::vector<int>> free;
    std::vector<Shape> shapes;
    int slots = 0;
    for (std::size_t i = 0; i < program.stages.size(); i++) {
        Stage& s = program.stages[i];
        shapes.push_back({s.above, s.left, s.rows(), s.columns(), s.padded, s.wants_bits, s.wants_bytes});
        auto& list = free[shapes.back()];
        s.slot = list.empty() ? slots++ : list.back();
        if (!list.empty()) list.pop_back();
        for (std::size_t j = 0; j <= i; j++)
            if (last[j] == int(i) && !keep) free[shapes[j]].push_back(program.stages[j].slot);
    }
    return slots;
}

// Lay out all stages for the kernels that they have. Returns the number of slots.
inline int lay_out(Program& program, const std::vector<bool>& traced, bool keep) {
    for (std::size_t i = 0; i < program.stages.size(); i++) {
        Stage& s = program.stages[i];
        s.above = s.left = s.below = s.right = 0;
        s.wants_bits = traced[i] || keep, s.wants_bytes = false;
        choose_tiles(s);
    }
    for (Stage& s : program.stages)
        for (Source& source : s.sources) {
            Stage& from = program.stages[source.from];
            widen_border(s, source, from);
            (s.kernel == Kernel::Dense ? from.wants_bytes : from.wants_bits) = true;
        }
    for (Stage& s : program.stages) {
        pack_constants(s);
        s.short_rows = {}, s.long_rows = {}, s.float_rows = {};
        if (s.kernel == Kernel::Event || s.kernel == Kernel::Column) pack_rows(s);
        for (Source& source : s.sources) {
            source.tiles = {}, source.tables = {}, source.taps = {}, source.float_taps = {};
            if (s.kernel == Kernel::Dense) pack_tiles(s, source);
            else if (source.diagonal) pack_taps(s, source);
            else if (s.kernel == Kernel::Table) pack_tables(s, source);
            else if (s.kernel == Kernel::Pixel) pack_patterns(s, source);
        }
    }
    return share_slots(program, keep);
}

}  // namespace transpike
