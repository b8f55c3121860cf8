#include "cli/line_editor.h"

#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "cli/environment.h"

namespace lmdeploy::cli {
namespace {

constexpr const char* kBracketedPasteOn = "\x1b[?2004h";
constexpr const char* kBracketedPasteOff = "\x1b[?2004l";
constexpr const char* kPasteBegin = "\x1b[200~";
constexpr std::wstring_view kPasteEnd = L"\x1b[201~";
constexpr wchar_t kReplacement = 0xfffd;

void show(const char* codes) {
  std::fputs(codes, stdout);
  std::fflush(stdout);
}

// What a person types is UTF-8 whatever the locale says, in this thread and while this lives.
class Utf8Here {
 public:
  explicit Utf8Here(locale_t utf8) : before_(uselocale(utf8)) {}
  ~Utf8Here() { uselocale(before_); }
  Utf8Here(const Utf8Here&) = delete;
  Utf8Here& operator=(const Utf8Here&) = delete;

 private:
  locale_t before_;
};

}  // namespace

struct LineEditor::State {
  State(Interrupts& interrupts_in, ChatHistory file_in, locale_t utf8_in)
      : interrupts(interrupts_in), file(std::move(file_in)), utf8(utf8_in) {}
  ~State() {
    const Utf8Here here(utf8);
    if (editor != nullptr) el_end(editor);
    if (messages != nullptr) history_end(messages);
    // The locale stays: libedit may have kept it.
  }

  bool init();
  void add(const std::string& message);

  // Returns 1 and a character, 0 at the end of the input, -1 when interrupted.
  static int on_get(EditLine* editor, wchar_t* character);
  static unsigned char on_paste(EditLine* editor, int);
  static char* on_prompt(EditLine* editor) { return of(editor).prompt.data(); }
  static State& of(EditLine* editor) {
    void* state = nullptr;
    el_get(editor, EL_CLIENTDATA, &state);
    return *static_cast<State*>(state);
  }

  bool fill();
  bool decode(wchar_t& character);
  void redraw();

  Interrupts& interrupts;
  const ChatHistory file;
  const locale_t utf8;
  EditLine* editor = nullptr;
  History* messages = nullptr;
  SignalPipe* redraws = nullptr;  // while a line is read
  std::string prompt;
  std::string bytes;  // read and not yet decoded
  bool interrupted = false;
};

bool LineEditor::State::init() {
  const Utf8Here here(utf8);
  editor = el_init("lmdeploy", stdin, stdout, stderr);
  messages = history_init();
  if (editor == nullptr || messages == nullptr) return false;
  HistEvent event;
  history(messages, &event, H_SETSIZE, static_cast<int>(ChatHistory::kMaxMessages));
  history(messages, &event, H_SETUNIQUE, 1);
  el_set(editor, EL_CLIENTDATA, this);
  el_set(editor, EL_GETCFN, on_get);
  el_set(editor, EL_PROMPT_ESC, on_prompt, '\1');
  el_set(editor, EL_EDITOR, "emacs");
  el_set(editor, EL_HIST, history, messages);
  el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  el_source(editor, nullptr);
  el_set(editor, EL_ADDFN, "bracketed-paste", "Insert pasted text", on_paste);
  el_set(editor, EL_BIND, kPasteBegin, "bracketed-paste", nullptr);
  for (const std::string& message : file.load()) add(message);
  return true;
}

void LineEditor::State::add(const std::string& message) {
  HistEvent event;
  history(messages, &event, H_ENTER, message.c_str());
}

bool LineEditor::State::fill() {
  std::array<pollfd, 3> waits{
      {{STDIN_FILENO, POLLIN, 0}, {interrupts.descriptor(), POLLIN, 0}, {redraws->descriptor(), POLLIN, 0}}};
  while (poll(waits.data(), waits.size(), -1) < 0 && errno == EINTR) {
  }
  if (redraws->take()) redraw();
  interrupted = interrupts.take();
  if (interrupted) {
    bytes.clear();
    return false;
  }
  if (waits[0].revents == 0) return true;
  std::array<char, 4096> piece;
  const ssize_t count = read(STDIN_FILENO, piece.data(), piece.size());
  if (count < 0 && errno == EINTR) return true;
  if (count <= 0) return false;
  bytes.append(piece.data(), static_cast<std::size_t>(count));
  return true;
}

// The window has another size, or a shell had the terminal for a while and left it in its own mode.
void LineEditor::State::redraw() {
  el_set(editor, EL_PREP_TERM, 0);
  el_set(editor, EL_PREP_TERM, 1);
  el_resize(editor);
  show("\r\x1b[J");
  show(kBracketedPasteOn);
  el_set(editor, EL_REFRESH);
}

// False where more bytes are needed.
bool LineEditor::State::decode(wchar_t& character) {
  constexpr auto kWrong = static_cast<std::size_t>(-1);
  constexpr auto kMore = static_cast<std::size_t>(-2);
  if (bytes.empty()) return false;
  mbstate_t state{};
  std::size_t size = std::mbrtowc(&character, bytes.data(), bytes.size(), &state);
  if (size == kMore) return false;
  if (size == kWrong) character = kReplacement;
  if (size == kWrong || size == 0) size = 1;
  bytes.erase(0, size);
  return true;
}

int LineEditor::State::on_get(EditLine* editor, wchar_t* character) {
  State& state = of(editor);
  while (!state.decode(*character))
    if (!state.fill()) return state.interrupted ? -1 : 0;
  return 1;
}

unsigned char LineEditor::State::on_paste(EditLine* editor, int) {
  std::wstring text;
  for (wchar_t character; !text.ends_with(kPasteEnd);) {
    if (el_wgetc(editor, &character) != 1) return CC_EOF;
    // A terminal sends its return key for the line feeds of the text.
    text += character == L'\r' ? L'\n' : character;
  }
  text.resize(text.size() - kPasteEnd.size());
  text.resize(text.find_last_not_of(L'\n') + 1);
  std::erase(text, L'\0');
  if (!text.empty() && el_winsertstr(editor, text.c_str()) != 0) return CC_ERROR;
  return CC_REFRESH;
}

LineEditor::LineEditor(std::unique_ptr<State> state) : state_(std::move(state)) {}
LineEditor::~LineEditor() = default;

std::unique_ptr<LineEditor> LineEditor::make(Interrupts& interrupts, ChatHistory history) {
  const std::string terminal = environment_variable("TERM").value_or("dumb");
  if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1 || terminal == "dumb") return nullptr;
  const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (utf8 == nullptr) return nullptr;
  auto state = std::make_unique<State>(interrupts, std::move(history), utf8);
  if (!state->init()) return nullptr;
  return std::unique_ptr<LineEditor>(new LineEditor(std::move(state)));
}

ReplTerminal::Read LineEditor::read_line(const std::string& prompt, std::string& line) {
  const Utf8Here here(state_->utf8);
  SignalPipe redraws({SIGWINCH, SIGCONT});
  state_->redraws = &redraws;
  state_->prompt = prompt.empty() ? "" : "\1\x1b[1m\1" + prompt + "\1\x1b[0m\1 ";
  state_->interrupted = false;
  el_resize(state_->editor);
  show(kBracketedPasteOn);
  int count = 0;
  const char* text = el_gets(state_->editor, &count);
  show(kBracketedPasteOff);
  state_->redraws = nullptr;
  if (text == nullptr || count <= 0) {
    show("\n");
    return state_->interrupted ? ReplTerminal::Read::interrupted : ReplTerminal::Read::end;
  }
  line.assign(text, static_cast<std::size_t>(count));
  if (line.ends_with('\n')) line.pop_back();
  return ReplTerminal::Read::line;
}

void LineEditor::remember(const std::string& message) {
  const Utf8Here here(state_->utf8);
  state_->add(message);
  state_->file.add(message);
}

}  // namespace lmdeploy::cli
