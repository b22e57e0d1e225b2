"""Writes `.env.example` from the settings, so that the two never differ."""

from shared.settings import _ALIASES, _SKIPPED, Settings

HEAD = """\
# Every variable Tollway reads besides those that tollway.yaml names. Written by `make env-example`; checked by the tests.
# Copy to .env and change what you need: nothing here is required, and what is commented out shows the default.
"""

PROVIDERS = """
# Providers without a tollway.yaml: what is set here is served beside the built-in demo model.
# OPENAI_API_KEY=
# OPENAI_BASE_URL=https://api.openai.com/v1
# ANTHROPIC_API_KEY=
# DEGPT_BASE_URL=https://www.degpt.ai/api
# DEGPT_BASE_MODEL=gpt-4o-mini
# DEGPT_AUTH_ID=
# DEGPT_AUTH_COOKIE=
# DEGPT_PROXY_USER_AGENT=        # DEGPT_PROXY_<NAME> becomes the header <Name>

# Names the seed systems had; the file's own keys win over them.
# REPLACE_CHAT=/chat             # chat paths instead of the default ones, comma-separated
# PREFIX_CHAT=/proxy             # prefixes of the default ones
# APPEND_CHAT=/v2/chat           # further ones
# CACHE_DURATION=3600            # seconds a provider's model list is kept
# SESSION_TIMEOUT=1800           # seconds a session lives after its last use
# SESSION_STORAGE_TYPE=memory    # memory or redis
# REDIS_HOST=localhost
# REDIS_PORT=6379
"""


def text() -> str:
    lines = [HEAD]
    for name, field in Settings.model_fields.items():
        if name in _SKIPPED:
            continue
        variable = next(iter(_ALIASES.get(name, ())), f"TOLLWAY_{name.upper()}")
        default = "" if field.default is None else field.default
        shown = str(default).lower() if isinstance(default, bool) else default
        lines.append(f"# {field.description}\n# {variable}={shown}\n")
    return "\n".join(lines) + PROVIDERS


if __name__ == "__main__":
    print(text(), end="")
