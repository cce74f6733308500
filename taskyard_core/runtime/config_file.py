"""The YAML file that `--config` or TASKYARD_CONFIG names, as a source of settings."""

from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsError


class ConfigFile(PydanticBaseSettingsSource):
    """Reads the file that flags and the environment name by `config`; keys that are no settings are left to others."""

    def __init__(self, settings: type[BaseSettings]) -> None:
        super().__init__(settings)
        self._fields = settings.model_fields.keys()

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not asked field by field."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        """What the file says; raises SettingsError, which names the file and shows nothing of what is in it."""
        path = self.current_state.get("config")
        return {name: value for name, value in read(path).items() if name in self._fields} if path else {}


def read(path: str) -> dict[str, Any]:
    """The whole file; raises SettingsError."""
    try:
        content = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"config: {path} cannot be read: {getattr(error, 'strerror', None) or 'no UTF-8'}"
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise SettingsError(f"config: {path} is no YAML{where}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"config: {path} must be a mapping of settings to values")
    return {str(name): value for name, value in content.items()}
