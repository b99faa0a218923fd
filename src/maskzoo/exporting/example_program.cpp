// Finds the objects on a photo with an exported Mask R-CNN. Needs libtorch alone, of the version that exported the file.
//
// TORCH=$(python -c "import torch; print(torch.__path__[0])")     # or the folder of an unpacked libtorch
// g++ -std=c++20 -O1 THIS_PROGRAM.cpp -o find -I$TORCH/include -I$TORCH/include/torch/csrc/api/include
//     -L$TORCH/lib -Wl,-rpath,$TORCH/lib -ltorch -ltorch_cpu -lc10                            (one line)
// ./find network.pt2 photo.ppm [found.ppm]    # ffmpeg -i photo.jpg photo.ppm, or any other program, makes a .ppm file

#include <ATen/ATen.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

const double LEAST_SCORE = 0.5;

// What the network wants of a photo, and what its labels mean, from the metadata of its file.
struct Settings {
  std::vector<std::string> classes;
  double short_side = 0, long_side = 0, mask_threshold = 0;
  int64_t multiple = 0;
  std::string resize;  // one_factor of both axes; else sides become whole pixels first, and each axis has its own
  bool bgr = false, whole_pixels = false;  // the order of the channels; whether masks are stretched to whole pixels
  std::vector<float> mean = {0, 0, 0}, std = {0, 0, 0};

  explicit Settings(const std::unordered_map<std::string, std::string>& metadata) {
    std::istringstream names(metadata.at("names")), numbers(metadata.at("preparation"));
    for (std::string name; std::getline(names, name);) classes.push_back(name);
    numbers >> short_side >> long_side >> multiple;
    for (auto* values : {&mean, &std})
      for (float& value : *values) numbers >> value;
    resize = metadata.at("resize");
    bgr = metadata.at("order") == "bgr";
    whole_pixels = metadata.at("paste") == "whole_pixels";
    mask_threshold = std::stod(metadata.at("mask_threshold"));
    if (!numbers) throw std::runtime_error("the network's metadata: expected nine numbers as preparation");
  }
};

// The photo of a binary .ppm file: uint8 [H W 3], RGB.
at::Tensor read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string kind;
  int64_t width = 0, height = 0, most = 0;
  file >> kind >> width >> height >> most;
  file.get();
  if (kind != "P6" || most != 255) throw std::runtime_error(path + ": expected a binary .ppm file of 8 bits (P6, 255)");
  auto pixels = at::empty({height, width, 3}, at::kByte);
  file.read(reinterpret_cast<char*>(pixels.data_ptr<uint8_t>()), pixels.numel());
  if (!file) throw std::runtime_error(path + ": ends too early");
  return pixels;
}

void write(const std::string& path, const at::Tensor& picture) {
  auto pixels = picture.to(at::kByte).contiguous();
  std::ofstream file(path, std::ios::binary);
  file << "P6\n" << pixels.size(1) << " " << pixels.size(0) << "\n255\n";
  file.write(reinterpret_cast<const char*>(pixels.data_ptr<uint8_t>()), pixels.numel());
  if (!file) throw std::runtime_error(path + ": cannot be written");
}

// By what a side grows, where the photo would by `factor`.
double grow(double side, double factor, const std::string& rule) {
  if (rule != "one_factor") return std::max(1.0, std::floor(side * factor + (rule == "float" ? 0.0 : 0.5))) / side;
  return std::nearbyint(side * factor) > 0 ? factor : 1 / side;
}

// The photo as the network wants it: short side scaled, normalised, zeros up to a multiple at the right and below.
at::Tensor prepare(const at::Tensor& photo, double down, double across, const Settings& settings) {
  auto pixels = photo.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat);
  const int64_t height = std::nearbyint(photo.size(0) * down), width = std::nearbyint(photo.size(1) * across);
  const auto& rule = settings.resize;
  if (rule == "pillow") {
    pixels = at::_upsample_bilinear2d_aa(pixels, {height, width}, false, down, across);
  } else if (rule == "opencv" || rule == "float") {
    pixels = at::upsample_bilinear2d(pixels, {height, width}, false, down, across);
  } else {
    pixels = at::upsample_bicubic2d(pixels, {height, width}, false, down, across);
  }
  if (rule != "float") pixels = pixels.round().clamp(0, 255);
  pixels = pixels / 255;
  pixels = (pixels - at::tensor(settings.mean).view({3, 1, 1})) / at::tensor(settings.std).view({3, 1, 1});
  if (settings.bgr) pixels = pixels.flip({1});
  const int64_t multiple = settings.multiple;
  auto beyond = [multiple](int64_t side) { return (multiple - side % multiple) % multiple; };
  return at::constant_pad_nd(pixels, {0, beyond(width), 0, beyond(height)}).contiguous();
}

// How much of each cell's value each pixel's centre takes, between two cells linearly, zero beyond the mask.
at::Tensor weigh(int64_t pixels, double low, double high, int64_t cells) {
  auto place = (at::arange(pixels, at::kFloat) + 0.5 - low) / (high - low) * cells - 0.5;
  return (1 - (place.unsqueeze(1) - at::arange(cells, at::kFloat)).abs()).clamp_min(0);
}

// Where a mask's cells lie along one axis of its box: from end to end, or, as torchvision has it, so that they and a border of
// one cell are stretched to whole pixels.
std::pair<double, double> place(double low, double high, int64_t cells, bool whole_pixels) {
  if (!whole_pixels) return {low, high};
  const double centre = (low + high) / 2, half = (high - low) / 2 * (cells + 2) / cells;
  const double first = std::trunc(centre - half), last = std::trunc(centre + half);
  const double cell = std::max(last - first + 1, 1.0) / (cells + 2);
  return {first + cell, first + cell * (cells + 1)};
}

int main(int count, char** words) try {
  if (count < 3) throw std::runtime_error("expected a network and a photo: network.pt2 photo.ppm [found.ppm]");
  c10::InferenceMode guard;
  torch::inductor::AOTIModelPackageLoader network(words[1]);
  const Settings settings(network.get_metadata());

  auto photo = read(words[2]);
  const double height = photo.size(0), width = photo.size(1);
  const double factor = std::min(settings.short_side / std::min(height, width), settings.long_side / std::max(height, width));
  const double down = grow(height, factor, settings.resize), across = grow(width, factor, settings.resize);
  auto images = prepare(photo, down, across, settings);
  auto sizes = at::tensor({height * down, width * across}, at::kFloat).unsqueeze(0);
  auto found = network.run({images, sizes});  // boxes, scores, labels, valid, masks, each of a batch of one
  auto scale = at::tensor({across, down, across, down}, at::kFloat);
  auto boxes = found[0][0] / scale, scores = found[1][0], labels = found[2][0], valid = found[3][0], masks = found[4][0];

  auto picture = photo.to(at::kFloat);
  for (int64_t slot = 0; slot < boxes.size(0); ++slot) {
    const float score = scores[slot].item<float>();
    if (!valid[slot].item<bool>() || score < LEAST_SCORE) continue;
    auto box = boxes[slot].contiguous();
    const float* side = box.data_ptr<float>();
    auto [top, bottom] = place(side[1], side[3], masks.size(1), settings.whole_pixels);
    auto [left, right] = place(side[0], side[2], masks.size(2), settings.whole_pixels);
    auto rows = weigh(photo.size(0), top, bottom, masks.size(1));
    auto columns = weigh(photo.size(1), left, right, masks.size(2));
    auto mask = rows.mm(masks[slot]).mm(columns.t()) >= settings.mask_threshold;
    auto colour = at::tensor({37 * slot % 196 + 60, 91 * slot % 196 + 60, 53 * slot % 196 + 60}, at::kFloat);
    picture = at::where(mask.unsqueeze(2), (picture + colour) / 2, picture);
    std::printf("%-16s %.3f  box %.1f %.1f %.1f %.1f  %lld pixels\n", settings.classes.at(labels[slot].item<int64_t>()).c_str(), score,
                side[0], side[1], side[2], side[3], static_cast<long long>(mask.sum().item<int64_t>()));
  }
  const std::string out = count > 3 ? words[3] : "found.ppm";
  write(out, picture);
  std::printf("Saved %s\n", out.c_str());
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
