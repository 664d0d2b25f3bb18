#include "core/backup/record_run.hpp"

namespace ark {

namespace {

constexpr int kSpoolLevel = 1;
// Flushed before a frame could overflow: one entry of a 1 GB file has about 20 kB.
constexpr size_t kFlushAt = 256 * 1024;

}  // namespace

RecordRun::RecordRun() : compressor_(kSpoolLevel) {}

void RecordRun::add(const IndexEntry& entry) {
    text_ += to_json_line(entry);
    if (text_.size() >= kFlushAt)
        flush();
}

void RecordRun::seal() {
    flush();
}

void RecordRun::flush() {
    std::string_view rest = text_;
    while (!rest.empty()) {
        const std::string_view piece = rest.substr(0, kFrameBytes);
        Bytes frame(FrameCompressor::max_frame_bytes());
        frame.resize(compressor_.compress(as_bytes(piece), frame));
        frame.shrink_to_fit();
        frames_.push_back(std::move(frame));
        rest.remove_prefix(piece.size());
    }
    text_.clear();
}

std::optional<IndexEntry> RecordRun::next() {
    size_t newline = 0;
    while ((newline = text_.find('\n', text_used_)) == std::string::npos) {
        if (next_frame_ == frames_.size())
            return std::nullopt;
        Bytes plain(kFrameBytes);
        plain.resize(decompressor_.decompress(frames_[next_frame_], plain, "spooled index"));
        frames_[next_frame_++] = Bytes();
        text_.erase(0, text_used_);
        text_used_ = 0;
        text_ += as_text(plain);
    }
    IndexEntry entry =
        parse_index_line(std::string_view(text_).substr(text_used_, newline - text_used_));
    text_used_ = newline + 1;
    return entry;
}

RecordMerge::RecordMerge(std::vector<RecordRun*> runs) : runs_(std::move(runs)) {
    heads_.reserve(runs_.size());
    for (RecordRun* run : runs_)
        heads_.push_back(run->next());
}

std::optional<IndexEntry> RecordMerge::next() {
    size_t first = heads_.size();
    for (size_t i = 0; i < heads_.size(); ++i) {
        if (!heads_[i])
            continue;
        if (first == heads_.size() || heads_[i]->path < heads_[first]->path)
            first = i;
    }
    if (first == heads_.size())
        return std::nullopt;
    std::optional<IndexEntry> out = std::move(heads_[first]);
    heads_[first] = runs_[first]->next();
    return out;
}

}  // namespace ark
