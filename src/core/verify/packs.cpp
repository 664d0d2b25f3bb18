#include "core/verify/packs.hpp"

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>

#include "core/pipeline/digest.hpp"
#include "core/repo/object.hpp"
#include "core/restore/file_lanes.hpp"

namespace ark {

namespace {

constexpr size_t kReadBytes = 4 << 20;
static_assert(kReadBytes >= kMaxHeaderBytes);

class HashingLane final : public FileLane {
 public:
    HashingLane(VerifyContext& context, std::mutex& mutex, BadPacks& bad)
        : context_(context), mutex_(mutex), bad_(bad), buffer_(kReadBytes) {}

    void take(const FileWork& work, const std::function<bool()>& abandoned) override {
        const std::string place = place::pack(context_.backup.backup_id, work.pack);
        const std::string name = context_.name_of(place);
        Finding finding;
        try {
            const auto wrong = look(name, place, context_.backup.packs[work.pack], abandoned);
            if (!wrong)
                return;
            finding.message = "object \"" + name + "\" is damaged";
            finding.detail = *wrong;
        } catch (const Error& error) {
            if (!is_damage(error))
                throw;
            finding = finding_of("pack", error);
        }
        finding.check = "pack";
        finding.object = name;
        finding.hint = "Restore another backup, and take a full one now.";
        const std::lock_guard lock(mutex_);
        bad_[work.pack] = std::move(finding);
    }

 private:
    // What is wrong with it, a sentence; nullopt when all is well.
    std::optional<std::string> look(const std::string& name, const std::string& place,
                                    const PackInfo& expected,
                                    const std::function<bool()>& abandoned) {
        const auto info = context_.repository.store().head(name);
        if (!info)
            throw Error(ErrorCode::not_found, "object \"" + name + "\" does not exist");
        std::optional<std::string> wrong;
        Sha256 digest;
        uint64_t offset = 0;
        while (!abandoned()) {
            const size_t n = context_.repository.store().get_range(name, offset, buffer_);
            const ByteView piece = ByteView(buffer_).first(n);
            if (offset == 0 && (wrong = check_place(piece, name, place)))
                return wrong;
            digest.update(piece);
            offset += n;
            context_.bytes += n;
            if (n < buffer_.size())
                break;
        }
        if (abandoned())
            return std::nullopt;
        if (offset != expected.stored_bytes) {
            return "It has " + std::to_string(offset) + " bytes, the backup's marker says " +
                   std::to_string(expected.stored_bytes) + ".";
        }
        if (digest.finish() != expected.sha256)
            return "Its content does not match the digest in the backup's marker.";
        return std::nullopt;
    }

    static std::optional<std::string> check_place(ByteView begin, const std::string& name,
                                                  const std::string& place) {
        const ObjectHeader header = parse_header(begin, name).header;
        if (header.kind == ObjectKind::pack && header.place == place)
            return std::nullopt;
        return "It is an object of another place: \"" + header.place + "\", written by " +
               describe(header.writer) + ".";
    }

    VerifyContext& context_;
    std::mutex& mutex_;
    BadPacks& bad_;
    Bytes buffer_;
};

}  // namespace

std::set<uint32_t> fresh_packs(const VerifyContext& context) {
    std::set<uint32_t> fresh;
    for (uint32_t number = 0; number < context.backup.packs.size(); ++number) {
        if (context.is_fresh(place::pack(context.backup.backup_id, number)))
            fresh.insert(number);
    }
    return fresh;
}

BadPacks check_packs(VerifyContext& context, const std::set<uint32_t>& fresh) {
    BadPacks bad;
    std::mutex mutex;
    FileLanes lanes(
        context.jobs, [&] { return std::make_unique<HashingLane>(context, mutex, bad); },
        context.tick);
    for (uint32_t number = 0; number < context.backup.packs.size(); ++number) {
        // What a failed backup has left lacks some.
        if (context.backup.packs[number].stored_bytes == 0)
            continue;
        const std::string place = place::pack(context.backup.backup_id, number);
        if (fresh.contains(number)) {
            context.skip(place);
        } else {
            context.read(place);
            lanes.push({number, 0, {}});
        }
    }
    lanes.finish();
    return bad;
}

}  // namespace ark
