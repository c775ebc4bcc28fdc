"""Settings of a service: environment, then config.ini, then the default.

A key has one name everywhere: `OPENAI-API.API_KEY` in the file is `OPENAI_API_API_KEY` in the
environment and `openai_api_api_key` as a field. Sections of the file are labels, except that the
service which owns a section refuses keys there that nobody knows. Empty values mean unset.
"""

import configparser
import logging
import os
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

CONFIG_VARIABLE = "CHAT2LLM_CONFIG"


class ConfigurationError(Exception):
    """The configuration is wrong; the message names the key or the file."""


class ServiceSettings(BaseSettings):
    """Base of every service's settings: frozen, with its owned sections checked for typing errors.

    `elsewhere` lists keys of owned sections that other services read; `retired` maps keys that no
    longer have an effect to the sentence that says so in the log. The one service that names
    `known_sections` refuses every other section of the file.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    owned_sections: ClassVar[tuple[str, ...]] = ()
    known_sections: ClassVar[tuple[str, ...]] = ()
    elsewhere: ClassVar[frozenset[str]] = frozenset()
    retired: ClassVar[dict[str, str]] = {}

    chat2llm_data: Path = Field(Path("data"), description="Folder of all data. 数据目录。")
    log_level: str = Field(
        "INFO",
        pattern="(?i)^(debug|info|warning|error)$",
        description="Lowest level logged, of debug, info, warning, error. 日志级别。",
    )

    @classmethod
    def load(cls) -> Self:
        """Read the file that CHAT2LLM_CONFIG names, else `config.ini` here if there is one.

        Raises ConfigurationError for an unknown key, a bad value or a named file that is missing.
        """
        sections = _read_file()
        cls._refuse_unknown(sections)
        in_environment = {name.lower() for name, value in os.environ.items() if value}
        wanted = cls.model_fields.keys() - in_environment
        given = [item for keys in sections.values() for item in keys.items()]
        values: dict[str, Any] = {key: value for key, value in given if key in wanted and value}
        try:
            return cls(**values)
        except ValidationError as error:
            problems = "; ".join(
                ": ".join([*(str(part).upper() for part in item["loc"][:1]), item["msg"]])
                for item in error.errors()
            )
            raise ConfigurationError(f"Bad setting. 配置有误: {problems}") from None

    @classmethod
    def _refuse_unknown(cls, sections: dict[str, dict[str, str]]) -> None:
        known = set(cls.model_fields) | cls.elsewhere
        for section in sections if cls.known_sections else ():
            if section not in cls.known_sections:
                raise ConfigurationError(f"Unknown section [{section}]. 配置文件中有无法识别的节。")
        for section in cls.owned_sections:
            for key, value in sections.get(section, {}).items():
                if key in cls.retired:
                    if value:
                        logging.getLogger(__name__).warning(cls.retired[key])
                elif key not in known:
                    raise ConfigurationError(
                        f"Unknown key {key.upper()} in [{section}]. 配置文件中有无法识别的键。"
                    )


def _read_file() -> dict[str, dict[str, str]]:
    named = os.environ.get(CONFIG_VARIABLE)
    path = Path(named or "config.ini")
    if named and not path.is_file():
        raise ConfigurationError(f"No configuration file at {path}. 找不到配置文件。")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text("utf-8-sig") if path.exists() else "", str(path))
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(f"{path} cannot be read. 配置文件无法读取: {error}") from None
    return {
        name: {_field_name(key): value.strip() for key, value in parser[name].items()}
        for name in parser.sections()
    }


def _field_name(key: str) -> str:
    return key.lower().replace("-", "_").replace(".", "_")
