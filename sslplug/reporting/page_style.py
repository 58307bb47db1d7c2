"""How the page of a comparison looks: readable at any width, light or dark, on paper too."""

from __future__ import annotations

from sslplug.reporting.drawing.shapes import DARK, LIGHT
from sslplug.reporting.drawing.svg import STYLE as PICTURES


def _variables(colours: dict[str, str], more: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in {**colours, **more}.items() if not name.startswith("series"))


_LIGHT = _variables(LIGHT, {"link": "#0a58a8", "soft": "#f5f7f9", "good": "#0b559f", "bad": "#a8450a", "even": "#57606a"})
_DARK = _variables(DARK, {"link": "#7cbcf2", "soft": "#1f242a", "good": "#7cbcf2", "bad": "#ff9d5c", "even": "#a4adb7"})

STYLE = (
    f":root{{{_LIGHT}}}\n@media (prefers-color-scheme: dark){{:root{{{_DARK}}}}}\n"
    + """*{box-sizing:border-box}
body{margin:0 auto;padding:1rem clamp(.8rem,3vw,2.5rem) 4rem;max-width:92rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:1.9rem;line-height:1.2;margin:.6rem 0}
h2{font-size:1.35rem;margin:2.6rem 0 .8rem;padding-top:.8rem;border-top:1px solid var(--grid)}
h3{font-size:1.05rem;margin:0 0 .6rem;overflow-wrap:anywhere}
a{color:var(--link)}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem}
nav ul{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;padding:0;list-style:none}
.quiet,figcaption{color:var(--quiet);font-size:.88rem;margin:.4rem 0;max-width:70rem}
.verdicts{list-style:none;padding:0;display:grid;gap:.8rem}
.verdict{background:var(--soft);border-left:.35rem solid var(--even);border-radius:.3rem;padding:.7rem 1rem}
.verdict p{margin:.15rem 0;overflow-wrap:anywhere}
.verdict .word{display:inline-block;margin-left:.5rem;color:var(--even)}
.verdict .task{font-weight:600}
.helps{border-color:var(--good)}.helps .word{color:var(--good)}
.does-not-help{border-color:var(--bad)}.does-not-help .word{color:var(--bad)}
.scroll{overflow-x:auto;margin:.8rem 0;scrollbar-width:thin}
figure{margin:1.2rem 0}
.picture{display:block;max-width:none;height:auto}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:.3rem 0}
th,td{text-align:left;vertical-align:top;padding:.28rem .7rem .28rem 0;border-bottom:1px solid var(--grid)}
tbody th{font-weight:400}
thead th{white-space:nowrap;border-bottom:2px solid var(--quiet)}
.n{text-align:right;white-space:nowrap}
.n a{color:inherit;text-decoration-style:dotted;text-decoration-color:var(--quiet);text-underline-offset:.2em}
td:not(.n) a,th a{display:inline-block;min-width:min(12rem,50vw)}
article{background:var(--soft);border-radius:.4rem;padding:1rem 1.2rem;margin:1rem 0;scroll-margin-top:1rem}
article p{margin:.4rem 0}
article:target{outline:2px solid var(--link)}
dl{display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;margin:.2rem 0 .6rem}
dl div{display:flex;gap:.4rem}dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}
pre{margin:.3rem 0;padding:.6rem .8rem;overflow-x:auto;background:var(--paper);border:1px solid var(--grid);border-radius:.3rem}
.copy{user-select:all}
code{font:.86rem ui-monospace,monospace;overflow-wrap:anywhere}
details{margin:.6rem 0}summary{cursor:pointer;color:var(--link)}
.collapsed{color:var(--bad)}
@media print{body{max-width:none}.scroll{overflow:visible}article{break-inside:avoid}nav{display:none}}
"""
    + PICTURES
    + "\n"
)
