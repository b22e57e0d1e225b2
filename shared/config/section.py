"""What every section of the configuration file is."""

from pydantic import BaseModel, ConfigDict

Seconds = float


class Section(BaseModel):
    """A part of the file: unknown keys are faults, and nothing changes after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
