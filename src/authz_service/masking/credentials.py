"""Entity types of keys and tokens, by the formats that their makers gave them.

Tokens with a telling beginning have no boundary before them: in `\\nAKIA...`, JSON that is quoted in a
text, there is none.
"""

from __future__ import annotations

from typing import Final

from authz_service.masking import identifiers
from authz_service.masking.entity_type import TOKENS, EntityType, Pattern, Region
from authz_service.masking.patterns import WORD

# RFC 7515 7.1: three parts, of which the first two are base64url of `{"` or `{ `. RFC 7516 7.1: five,
# the third of 96 bits, the last of 128 or more.
_JWT = (
    rf"ey[JA]{WORD}{{8,}}\."
    rf"(?:e[yw]{WORD}{{4,}}\.{WORD}*|{WORD}*\.{WORD}{{16}}\.{WORD}+\.{WORD}{{22,}})"
)

# RFC 7468 2, with OpenSSH's and PGP's labels; and the four dashes of ssh.com's keys.
_KEY = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?"

# The first part is base64 of a number of 17 to 20 digits.
_DISCORD = rf"(?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){{5,6}}[A-Za-z0-9]{{0,3}}\.{WORD}{{6}}\.{WORD}{{27,}}"
_DISCORD_WEBHOOK = rf"https://(?:ptb\.|canary\.)?discord(?:app)?\.com/api/webhooks/[0-9]+/{WORD}{{60,}}"

_AWS_KEY = (
    r"(?i:secret[ _-]?(?:access[ _-]?)?key)[\"'\\]{0,3}[ \t]{0,3}[:=]{1,2}>?"
    r"[ \t]{0,3}[\"'\\]{0,3}[A-Za-z0-9/+]{40}"
)

_OPENAI = rf"sk-(?:(?:proj|svcacct|admin)-{WORD}{{40,}}|[A-Za-z0-9]{{32,}})"


def _token(name: str, finds: str, *patterns: str) -> EntityType:
    return EntityType(name, finds, tuple(Pattern(pattern, family=TOKENS) for pattern in patterns))


CREDENTIALS: Final = (
    _token("ANTHROPIC_KEY", "`sk-ant-`", rf"sk-ant-(?:api|admin|oat)[0-9]{{2}}-{WORD}{{32,}}"),
    _token("ATLASSIAN_TOKEN", "`ATATT3`", r"ATATT3[A-Za-z0-9_=-]{80,}"),
    _token("AUTHZ_KEY", "this gateway's own API keys, `authz_key_`", r"authz_key_[A-Za-z0-9]{43}"),
    _token("AWS_ACCESS_KEY", "`AKIA`, `ASIA`, `ABIA`, `ACCA`", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    EntityType(
        "AWS_SECRET_KEY",
        "forty characters after `secret_access_key =` and the like",
        (Pattern(_AWS_KEY, identifiers.last(40), 0.9, family=TOKENS),),
    ),
    EntityType(
        "AZURE_CLIENT_SECRET",
        "`Q~` after three characters and a digit",
        (Pattern(r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}"),),
    ),
    _token("AZURE_SAS", "the `sig=` of a shared access signature", r"\bsig=[A-Za-z0-9%+/]{43,60}={0,2}"),
    _token("AZURE_STORAGE_KEY", "`AccountKey=`", r"AccountKey=[A-Za-z0-9+/]{86}=="),
    _token("DATABRICKS_TOKEN", "`dapi`", r"dapi[0-9a-f]{32}"),
    _token("DIGITALOCEAN_TOKEN", "`dop_v1_`, `doo_v1_`, `dor_v1_`", r"do[opr]_v1_[0-9a-f]{64}"),
    _token("DISCORD_TOKEN", "a bot's token", _DISCORD),
    _token("DISCORD_WEBHOOK", "the URL of a webhook", _DISCORD_WEBHOOK),
    _token("DOCKER_TOKEN", "`dckr_pat_`", rf"dckr_(?:pat|oat)_{WORD}{{27,}}"),
    _token(
        "GITHUB_TOKEN",
        "`ghp_`, `gho_`, `ghu_`, `ghs_`, `ghr_`, `github_pat_`",
        r"(?:gh[pousr]_[A-Za-z0-9_]{36,}|github_pat_[A-Za-z0-9_]{22,})",
    ),
    _token(
        "GITLAB_TOKEN",
        "`glpat-` and its like",
        rf"gl(?:pat|dt|ft|rt|soat|cbt|agent|imt|oas|ptt)-{WORD}{{20,}}",
    ),
    _token("GOOGLE_API_KEY", "`AIza`", rf"AIza{WORD}{{35}}"),
    _token(
        "GOOGLE_OAUTH",
        "`ya29.` tokens and `GOCSPX-` client secrets",
        rf"(?:ya29\.{WORD}{{20,}}|GOCSPX-{WORD}{{28}})",
    ),
    _token(
        "GRAFANA_TOKEN", "`glsa_`, `glc_`", r"(?:glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_[A-Za-z0-9+/]{32,})"
    ),
    _token("HUGGINGFACE_TOKEN", "`hf_`, `api_org_`", r"(?:hf_|api_org_)[A-Za-z0-9]{34,}"),
    _token("JWT", "RFC 7515 and RFC 7516 in compact form", _JWT),
    _token("NPM_TOKEN", "`npm_`", r"npm_[A-Za-z0-9]{36}"),
    _token("OPENAI_KEY", "`sk-`, `sk-proj-` and its like", _OPENAI),
    EntityType(
        "PRIVATE_KEY",
        "from `BEGIN ... PRIVATE KEY` to its `END`, of any length; without an end, all that follows",
        (
            Region(
                opening=rf"-----BEGIN {_KEY}-----|---- BEGIN {_KEY} ----",
                closing=rf"-----END {_KEY}-----|---- END {_KEY} ----",
            ),
        ),
    ),
    _token("PYPI_TOKEN", "`pypi-`", rf"pypi-AgE{WORD}{{50,}}"),
    _token("SENDGRID_KEY", "`SG.` and two parts", rf"SG\.{WORD}{{22}}\.{WORD}{{43}}"),
    _token("SHOPIFY_TOKEN", "`shpat_`, `shpca_`, `shppa_`, `shpss_`", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    _token(
        "SLACK_TOKEN",
        "`xoxb-` and its like, `xapp-`",
        r"(?:xox[abeoprs](?:\.xox[bp])?-|xapp-)[A-Za-z0-9-]{10,}",
    ),
    _token(
        "SLACK_WEBHOOK",
        "the URL of a webhook",
        r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/]{20,}",
    ),
    _token(
        "STRIPE_KEY",
        "`sk_live_`, `rk_live_`, their `test`, `whsec_`",
        r"(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{32,}=?)",
    ),
    EntityType(
        "TELEGRAM_TOKEN",
        "a bot's number, a colon, `AA` and 33 characters",
        (Pattern(rf"[0-9]{{8,10}}:AA{WORD}{{33}}", identifiers.not_after_digit, family=TOKENS),),
    ),
    _token("TWILIO_KEY", "`AC` or `SK` and 32 hexadecimal digits", r"(?:AC|SK)[0-9a-f]{32}"),
    _token("VAULT_TOKEN", "`hvs.`, `hvb.`, `hvr.`", rf"hv[sbr]\.{WORD}{{24,}}"),
)
