"""`make docs`: the table of all settings, from the models and in the order of config.ini."""

import configparser
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from deploy.launcher import SETTINGS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "configuration.md"
_HEAD = """\
# Configuration 配置

<!-- Written by `make docs` from the settings of the services. 由 make docs 生成，请勿手工修改。 -->

Every setting has its default, so nothing needs to be set. Order: environment, then `config.ini` (or
the file that `--config FILE` or `CHAT2LLM_CONFIG` names), then the default; an empty value means
unset. A misspelt key stops the start with its name. In a section, only its own keys are allowed.

所有设置均有默认值，无需修改即可运行。优先级：环境变量 > `config.ini`（或 `--config FILE`、
`CHAT2LLM_CONFIG` 指定的文件）> 默认值；留空等于未设置。键名写错时服务会拒绝启动并指出该键。
"""
_RETIRED = """
## Retired 已停用

Keys of older versions that are accepted, have no effect, and say so once in the log.
旧版本的键：仍可保留，不再起作用，启动时会在日志中提示。

"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as people write it, and as its model describes it."""

    section: str
    key: str
    default: str
    description: str

    @property
    def variable(self) -> str:
        return field_name(self.key).upper()


def described_fields() -> dict[str, tuple[str, str]]:
    """Default and description of each setting by its field name; shared ones are described once."""
    found: dict[str, tuple[str, str]] = {}
    for model in reversed([*SETTINGS.values()]):
        for name, field in model.model_fields.items():
            if field.description:
                found.setdefault(name, (_text(field.default), field.description))
    return found


class _AsWritten(configparser.RawConfigParser):
    """Leaves keys in the case that they have in the file."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def written_keys() -> Iterator[tuple[str, str, str]]:
    """Section, key and value of each line of config.ini, in its order."""
    parser = _AsWritten()
    parser.read(ROOT / "config.ini", encoding="utf-8")
    for section in parser.sections():
        for key, value in parser[section].items():
            yield section, key, value


def field_name(key: str) -> str:
    return re.sub(r"[-.]", "_", key).lower()


def document() -> str:
    fields = described_fields()
    rows: dict[str, list[Setting]] = {}
    for section, key, _ in written_keys():
        default, description = fields[field_name(key)]
        rows.setdefault(section, []).append(Setting(section, key, default, description))
    tables = [_table(section, settings) for section, settings in rows.items()]
    retired = {sentence for model in SETTINGS.values() for sentence in model.retired.values()}
    return _HEAD + "".join(tables) + _RETIRED + "".join(f"- {line}\n" for line in sorted(retired))


def _table(section: str, settings: list[Setting]) -> str:
    lines = [
        f"\n## [{section}]\n",
        "| key 键 | environment 环境变量 | default 默认值 | meaning 含义 |",
        "|---|---|---|---|",
    ]
    for setting in settings:
        shown = f"`{setting.default}`" if setting.default else ""
        meaning = setting.description.replace("|", "\\|")
        lines.append(f"| `{setting.key}` | `{setting.variable}` | {shown} | {meaning} |")
    return "\n".join(lines) + "\n"


def _text(default: object) -> str:
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default is None else str(default)


if __name__ == "__main__":
    try:
        DOCUMENT.write_text(document(), encoding="utf-8")
    except KeyError as unknown:
        sys.exit(f"config.ini: no service knows {unknown.args[0].upper()}")
