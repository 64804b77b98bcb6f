"""The settings of the commands, as frozen dataclasses whose fields are also their flags."""
