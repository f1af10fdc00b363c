#include "libs/rpc/byte_stream.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "libs/h2/grpc_wire.h"

namespace penstock::rpc {
namespace {

// The deleter of such a channel, by which it is found again.
struct StreamingChannel {
  std::shared_ptr<grpc::Channel> channel;
  std::shared_ptr<ByteStreams> streams;
  void operator()(grpc::Channel*) {
    channel.reset();
    streams.reset();
  }
};

// A block for a message of `size` bytes, with its prefix; `place` is where the message goes.
h2::Block& NewMessage(std::size_t size, std::uint8_t** place) {
  h2::Block& block = *h2::Block::New(h2::kGrpcPrefixBytes + size);
  h2::WriteGrpcPrefix(size, block.data());
  *place = reinterpret_cast<std::uint8_t*>(block.data() + h2::kGrpcPrefixBytes);
  return block;
}

h2::Chunk Take(h2::Block& block) {
  h2::Chunk chunk = h2::Chunk::Of(block, {block.data(), block.size()});
  block.Unref();
  return chunk;
}

}  // namespace

h2::Chunk ToWire(const google::protobuf::MessageLite& message) {
  std::uint8_t* place = nullptr;
  h2::Block& block = NewMessage(message.ByteSizeLong(), &place);
  message.SerializeWithCachedSizesToArray(place);
  return Take(block);
}

h2::Chunk ToWire(const grpc::ByteBuffer& message) {
  std::uint8_t* place = nullptr;
  h2::Block& block = NewMessage(message.Length(), &place);
  std::vector<grpc::Slice> slices;
  message.Dump(&slices).ok();
  for (const grpc::Slice& slice : slices) place = std::copy(slice.begin(), slice.end(), place);
  return Take(block);
}

std::shared_ptr<grpc::Channel> WithStreams(std::shared_ptr<grpc::Channel> channel,
                                           std::shared_ptr<ByteStreams> streams) {
  grpc::Channel* const raw = channel.get();
  return {raw, StreamingChannel{std::move(channel), std::move(streams)}};
}

std::shared_ptr<ByteStreams> StreamsOf(const std::shared_ptr<grpc::Channel>& channel) {
  const StreamingChannel* const found = std::get_deleter<StreamingChannel>(channel);
  return found == nullptr ? nullptr : found->streams;
}

}  // namespace penstock::rpc
