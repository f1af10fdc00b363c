// The end of a sealed segment: sections, then a trailer of fixed size that says where they are.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "services/event-broker/ports/file_system.h"
#include "services/event-broker/storage/segment_index.h"

namespace penstock::broker {

inline constexpr std::uint32_t kTrailerMagic = 0x46535001;  // Bytes 01 50 53 46.
inline constexpr std::size_t kTrailerBytes = 144;

enum FooterSection : std::size_t {
  kBlocksSection,
  kIdTableSection,
  kIdFilterSection,
  kKeyFilterSection,
  kHolesSection,
  kFooterSections
};

struct SegmentTrailer {
  LogId log_id{};
  SegmentSummary summary;
  struct Section {
    std::uint32_t bytes = 0;
    std::uint32_t crc = 0;
  };
  std::array<Section, kFooterSections> sections;
};

// Lays `sections` and the trailer one behind the other.
std::string EncodeFooterBytes(const LogId& log_id, const SegmentSummary& summary,
                              const std::array<std::string, kFooterSections>& sections);

enum class TrailerVerdict : std::uint8_t { kValid, kNone, kNewer };

// Looks for a trailer at the end of a file of `file_bytes`. kNone when there is none or it is
// damaged; an error when the file cannot be read.
absl::StatusOr<TrailerVerdict> ReadTrailer(File& file, std::uint64_t file_bytes,
                                           SegmentTrailer& trailer);

// Reads and verifies one section.
absl::StatusOr<std::string> ReadSection(File& file, const SegmentTrailer& trailer,
                                        FooterSection section);

// Reads the whole footer of a sealed file again. DATA_LOSS when any of it is damaged.
absl::Status VerifyFooter(File& file, std::uint64_t file_bytes);

// The lost ranges noted in the footer.
absl::StatusOr<std::vector<std::pair<Sequence, Sequence>>> ReadHoles(File& file,
                                                                     const SegmentTrailer& trailer);

// Opens the index in a footer: the block index is loaded, the rest is verified at its first use and
// then read in pieces as needed.
absl::StatusOr<std::unique_ptr<SegmentIndex>> OpenFooterIndex(std::shared_ptr<File> file,
                                                              const SegmentTrailer& trailer);

}  // namespace penstock::broker
