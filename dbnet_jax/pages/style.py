"""How the results page looks, in light and in dark."""

from dbnet_jax.pages.problems import PROBLEM_STYLE

STYLE = (
    """
:root {
  --paper: #f6f7f9; --card: #ffffff; --ink: #1d2129; --soft: #667080; --line: #e2e5ea;
  --chip: rgba(14, 16, 20, .68);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #111318; --card: #1a1d24; --ink: #e8eaee; --soft: #939cab; --line: #2a2e38; }
}
* { box-sizing: border-box; margin: 0; }
body {
  background: var(--paper); color: var(--ink); padding: clamp(16px, 3vw, 44px); max-width: 1900px;
  margin: auto;
}
h1 {
  font-size: 1.7rem; font-weight: 650; letter-spacing: -.015em; line-height: 1.25;
  overflow-wrap: anywhere;
}
ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; }
b { font-weight: 600; }
dt { color: var(--soft); font-size: .82rem; }
dd { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: .9rem 3rem; margin-top: 1.3rem; }
.tiles dd { font-size: 2.1rem; font-weight: 600; line-height: 1.15; letter-spacing: -.02em; }
.details { display: flex; flex-wrap: wrap; gap: .9rem 2.4rem; margin-top: 1.3rem; }
code { font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.legend { margin: 1.5rem 0 1.6rem; padding-top: 1.1rem; border-top: 1px solid var(--line); }
.legend, footer { color: var(--soft); font-size: .86rem; }
li[class]::before {
  content: ""; display: inline-block; width: .62em; height: .62em; border-radius: 50%; margin-right: .5em;
  background: var(--dot);
}
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 540px), 1fr)); gap: 20px; }
/* Header, pictures and footer of the cards in a row are of the same heights. */
article {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px; overflow: hidden;
  display: grid; grid-row: span 3; grid-template-rows: subgrid; gap: 0;
}
article header, footer { display: flex; justify-content: space-between; gap: 1rem; padding: .65rem .95rem; }
h2 { font-size: .95rem; font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.hmean { color: var(--soft); font-size: .86rem; white-space: nowrap; align-self: center; }
.hmean b { color: var(--ink); }
.hmean b, footer { font-variant-numeric: tabular-nums; }
footer b { color: var(--ink); }
footer > span { white-space: nowrap; }
.views { display: flex; gap: 3px; }
/* Where others in the row are higher, a picture stands in the middle, on dark ground as the maps do. */
.views > figure { flex: 3; min-width: 0; display: flex; align-items: center; background: #222; }
.views > figure a { flex: 1; min-width: 0; }
.views > figure img { max-height: 620px; object-fit: contain; }
/* The maps share the picture's height, whatever it is, and add none of their own. */
.maps { flex: 1; min-width: 0; contain: size; display: flex; flex-direction: column; gap: 3px; }
/* Alone, the probability map is as large as the picture. */
.maps:has(> figure:only-child) { flex: 3; }
.maps figure { flex: 1; min-height: 0; background: #000004; }
.maps a { display: block; height: 100%; }
.maps img { height: 100%; object-fit: contain; }
.tables { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 1.2rem 3rem; margin-top: 1.5rem; }
.scores figure { margin-top: 1.5rem; }
.scale { display: inline-block; width: 5.5em; height: .62em; margin: 0 .3em; border-radius: 2px; }
/* Where there is room the curve stands beside the numbers, in the right half of the head. */
@media (min-width: 1000px) {
  .head { display: grid; grid-template-columns: minmax(0, 1fr) auto; column-gap: 3rem; }
  .head > *, .tables { grid-column: 1; }
  .head > .legend, .head > details { grid-column: 1 / -1; }
  .head:not(:has(.scores)) > * { grid-column: 1 / -1; }
  .scores { display: contents; }
  .scores figure { grid-column: 2; grid-row: 1 / span 4; margin: 0; width: 430px; }
}
.scores table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
.scores caption { color: var(--soft); font-size: .82rem; text-align: left; white-space: nowrap; }
.scores th { font-weight: 400; text-align: left; padding: .2rem 1rem .2rem 0; }
.scores td, .scores thead th { text-align: right; padding: .2rem 0 .2rem 1rem; }
.scores thead th, .scores p { color: var(--soft); font-size: .82rem; }
.scores tbody tr { border-top: 1px solid var(--line); }
.scores svg { display: block; width: min(100%, 430px); fill: var(--soft); font-size: 10px; }
.scores .grid { stroke: var(--line); fill: none; }
.scores .curve { stroke: var(--ink); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; fill: none; }
.scores circle { fill: #2bd074; stroke: var(--ink); stroke-width: 1.5; }
figure { position: relative; }
img { display: block; width: 100%; height: auto; }
a:focus-visible { outline: 3px solid #4c8dff; outline-offset: -3px; }
figcaption {
  position: absolute; left: 6px; bottom: 6px; padding: 0 .5em; border-radius: 5px; background: var(--chip);
  color: #fff; font-size: .7rem; line-height: 1.7; pointer-events: none;
}
@media (max-width: 640px) {
  .views { flex-direction: column; }
  .maps { contain: none; flex-direction: row; }
  .maps figure { min-width: 0; }
  .maps img { height: auto; }
  footer { flex-wrap: wrap; }
}
"""
    + PROBLEM_STYLE
)
