#!/bin/sh
# Makes .venv and installs what the named set of packages lacks: environment.sh run|dev
# Nothing is needed beforehand but Python 3.11 or newer; pip is used so that its configuration counts.
set -eu
cd "$(dirname "$0")/.."
set_name=$1
extras="gateway auth_service session_service kb_service chat_service run"
[ "$set_name" = run ] || extras="$extras $set_name"

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

case $(uname -s) in
Linux | Darwin) ;;
*) fail "Chat2LLM runs on Linux and macOS; on Windows use WSL, or Docker: docker compose up" \
    "本机请用 Linux 或 macOS；Windows 请使用 WSL 或 Docker：docker compose up" ;;
esac

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

venv_python=.venv/bin/python
if ! new_enough $venv_python; then
    for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        new_enough "$python" && break
        python=
    done
    [ -n "$python" ] || fail \
        "Python 3.11 or newer is needed (found: $(python3 --version 2>&1 || true)). Install it, or name it: make run PYTHON=/path/to/python3.11" \
        "需要 Python 3.11 或更高版本。请先安装，或指定：make run PYTHON=/path/to/python3.11"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || fail \
        "This Python has no venv module. On Debian or Ubuntu: sudo apt install python3-venv" \
        "此 Python 缺少 venv 模块。Debian 或 Ubuntu 请执行：sudo apt install python3-venv"
    echo "Making .venv. 正在创建虚拟环境"
    "$python" -m venv --clear .venv
fi

wanted=.venv/wanted-$set_name.txt
installed=.venv/installed-$set_name.txt
# shellcheck disable=SC2086 # the extras are separate words
$venv_python deploy/locked.py $extras >"$wanted"
if ! cmp -s "$wanted" "$installed"; then
    echo "Installing packages, once (a few minutes on a slow network). 正在安装依赖，仅首次需要"
    $venv_python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$wanted" ||
        fail "" "The packages could not be installed; pip says why above." \
            "依赖安装失败，原因见上方 pip 的输出。网络较慢时可先配置 pip 镜像：pip config set global.index-url <镜像地址>"
    cp "$wanted" "$installed"
fi

# OpenAI's client for Node, for one test, which is skipped where there is no npm.
node_client=tests/e2e/node
if [ "$set_name" = dev ] && command -v npm >/dev/null &&
    ! cmp -s $node_client/package-lock.json $node_client/node_modules/installed.json; then
    if npm ci --prefix $node_client --silent --ignore-scripts >&2; then
        cp $node_client/package-lock.json $node_client/node_modules/installed.json
    else
        echo "npm could not install OpenAI's client for Node: its test is skipped. npm 安装失败，将跳过 Node 客户端测试" >&2
    fi
fi
