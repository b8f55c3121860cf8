#include "cli/calibration_text.h"

#include <algorithm>
#include <string_view>

namespace lmdeploy::cli {
namespace {

constexpr std::size_t kMaxTokens = 512;

// Prose, a talk, code, figures and other languages: what a model that is asked everything reads.
constexpr std::string_view kText =
    R"(The ferry left the island at six, an hour before the fog. Marta counted nine passengers, two bicycles and a
crate of lemons that nobody had asked for. "They are for the bakery," said the captain, "if the bakery still
opens on Thursdays." It did. In winter the harbour froze so hard that children skated from one pier to the
other, and old people said that this was nothing compared with the year of the long ice.

Q: Why does bread rise?
A: Yeast eats the sugar in the dough and gives off carbon dioxide. The gluten holds the gas in small bubbles, and
the heat of the oven makes them larger until the crust sets.

def mean(values: list[float]) -> float:
    """Average of a list; 0 for an empty one."""
    if not values:
        return 0.0
    return sum(values) / len(values)

for (int i = 0; i < n; ++i) total += price[i] * count[i];  // in cents

| city   | people    | area, km2 |
| Lisbon |   545,796 |     100.1 |
| Turin  |   841,600 |     130.0 |

In 1905 a clerk at the patent office in Bern wrote four papers; E = mc^2 came with the last of them. Seven years
later the first wireless distress call was heard 93 km away. If 3x + 7 = 22, then x = 5.

Der Zug nach Bremen hat heute leider zwanzig Minuten Verspaetung. Le petit marche ouvre a huit heures, sauf le
dimanche. El perro duerme debajo de la mesa.

1. Wash the rice until the water stays clear.
2. Add one and a half cups of water, and a pinch of salt.
3. Cover, simmer for twelve minutes, and let it rest.

Dear Mr Okafor, thank you for your letter of 14 March. We regret that the pump was sent without its valve; a new
one has left our store today (order 80-2213), free of charge. Please call us if it has not come by Friday.
)";

}  // namespace

std::vector<std::int32_t> calibration_ids(const Tokenizer& tokenizer) {
  std::vector<std::int32_t> ids = tokenizer.encode(kText, true);
  ids.resize(std::min(ids.size(), kMaxTokens));
  return ids;
}

std::vector<std::int32_t> calibration_ids(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / "tokenizer.json") &&
      !std::filesystem::exists(folder / "tokenizer.model"))
    return {};
  return calibration_ids(*Tokenizer::load(folder));
}

}  // namespace lmdeploy::cli
