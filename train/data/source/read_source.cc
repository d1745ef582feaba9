// SPDX-License-Identifier: Apache-2.0
#include "train/data/source/read_source.h"

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/tensor/safetensors.h"

namespace organ::train {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kTextLimit = std::uint64_t{1} << 30;
constexpr std::uint64_t kIdsLimit = std::uint64_t{1} << 33;

void require_file(const fs::path& path) {
  std::error_code unreadable;  // reading says more
  const auto kind = fs::status(path, unreadable).type();
  if (unreadable || kind == fs::file_type::not_found || kind == fs::file_type::regular) return;
  const bool folder = kind == fs::file_type::directory;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: expected a file of data, got {}", quote(path.string()),
                          folder ? "a folder" : "no regular file"),
              folder ? "name the files in it" : "write what it gives into a file first");
}

// Ids alone say nothing of what is no target, or not seen.
const format::TensorInfo& find_ids(const format::SafetensorsFile& file) {
  const auto& header = file.header();
  const auto* ids = header.find("ids");
  if (!ids && header.find("input_ids")) {
    throw Error(ErrorCode::not_found, fmt::format("{}: has no tensor 'ids'", quote(file.subject())),
                "save its tensor 'input_ids' as 'ids'");
  }
  for (const auto& other : header.tensors) {
    if (!ids || other.name == "ids") continue;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: holds tensor {} beside 'ids', which is not read: every id is seen "
                            "and is a target",
                            quote(file.subject()), quote(other.name)),
                "save 'ids' alone; --pad-id names what fills up its rows");
  }
  return file.tensor("ids");
}

void check_shape(std::string_view subject, const format::Shape& shape, std::uint64_t bytes) {
  if (bytes == 0 || shape[1] < 2) {
    fail(ErrorCode::invalid_argument, "{}: tensor 'ids' has shape {}, no window has a target",
         subject, format::to_string(shape));
  }
  if (bytes > kIdsLimit) {
    fail(ErrorCode::invalid_argument, "{}: tensor 'ids' has {} bytes, at most {} are read", subject,
         bytes, kIdsLimit);
  }
}

IdRows rows_of_file(const fs::path& path) {
  const auto file = format::SafetensorsFile::open(path);
  const format::TensorInfo& info = find_ids(file);
  IdRows rows;
  rows.subject = quote(file.subject());
  if (info.dtype != format::DType::I64 || info.shape.size() != 2) {
    fail(ErrorCode::corrupt, "{}: tensor 'ids' is {} {}, expected I64 [windows, length]",
         rows.subject, format::to_string(info.dtype), format::to_string(info.shape));
  }
  check_shape(rows.subject, info.shape, info.size);
  rows.read.resize(info.size / sizeof(std::int64_t));
  file.read(info, std::as_writable_bytes(std::span(rows.read)));
  rows.length = info.shape[1];
  rows.source = {hash_file_flat(file.fd(), file.subject()), file.header().file_size};
  return rows;
}

// What stands before the ids in the file that the safetensors package makes of them.
std::string header_of_file(const format::Shape& shape, std::size_t bytes) {
  std::string json =
      fmt::format(R"({{"ids":{{"dtype":"I64","shape":[{},{}],"data_offsets":[0,{}]}}}})", shape[0],
                  shape[1], bytes);
  json.resize((json.size() + 7) / 8 * 8, ' ');
  std::string header;
  for (int byte = 0; byte < 8; ++byte) {
    header += static_cast<char>(json.size() >> (8 * byte) & 0xff);
  }
  return header + json;
}

IdRows rows_of_memory(const std::string& name, const IdsSource::Rows& memory) {
  IdRows rows;
  rows.subject = quote(name);
  rows.memory = memory.ids;
  rows.length = memory.length;
  const std::size_t count = memory.length == 0 ? 0 : memory.ids.size() / memory.length;
  const format::Shape shape = {count, memory.length};
  check_shape(rows.subject, shape, memory.ids.size_bytes());
  if (count * memory.length != memory.ids.size()) {
    fail(ErrorCode::invalid_argument, "{}: {} ids are no whole rows of {}", rows.subject,
         memory.ids.size(), memory.length);
  }
  const std::string header = header_of_file(shape, memory.ids.size_bytes());
  Sha256Hasher hasher;
  hasher.update(header);
  hasher.update(std::as_bytes(memory.ids));
  rows.source = {hasher.finish(), header.size() + memory.ids.size_bytes()};
  return rows;
}

}  // namespace

void require_data_file(const TextSource& source) {
  if (!source.memory()) require_file(source.path());
}

void require_data_file(const IdsSource& source) {
  if (!source.memory() && !source.empty()) require_file(source.path());
}

TextBytes::TextBytes(const TextSource& source) : memory_(source.memory()) {
  if (!memory_) {
    read_ = read_file(source.path(), kTextLimit);
  } else if (memory_->size() > kTextLimit) {
    fail(ErrorCode::corrupt, "{}: expected at most {} bytes, got {}", quote(source.path().string()),
         kTextLimit, memory_->size());
  }
}

std::string as_saved_anyhow(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::string out;
  out.reserve(text.size());
  const auto end_line = [&] {
    while (out.ends_with(' ') || out.ends_with('\t')) out.pop_back();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '\n' && c != '\r') {
      out += c;
      continue;
    }
    end_line();
    if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
    if (!out.empty()) out += '\n';
  }
  end_line();
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

std::uint64_t bytes_ahead(const std::vector<TextSource>& texts) {
  std::uint64_t sum = 0;
  for (const TextSource& source : texts) {
    std::error_code unknown;
    const std::uint64_t size = source.memory() ? source.memory()->size()
                                               : std::filesystem::file_size(source.path(), unknown);
    if (unknown) return 0;
    sum += size;
  }
  return sum;
}

IdRows read_rows(const IdsSource& source) {
  return source.memory() ? rows_of_memory(source.path().string(), *source.memory())
                         : rows_of_file(source.path());
}

}  // namespace organ::train
