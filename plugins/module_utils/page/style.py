# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How the page looks: light and dark, on a telephone, on a wide screen and on paper."""

from __future__ import annotations

# Colours of text on their background have a contrast of 4.5 at least (WCAG 2.2, AA), and each kind of a state has a
# shape of its own. On a narrow screen a row of a table is a card, and each cell says its heading itself.
STYLE = r"""
:root {
  color-scheme: light dark;
  --paper: #f6f7f9; --card: #fff; --ink: #1c2128; --quiet: #57606a; --line: #d8dee4; --link: #0a58ca;
  --code: #f0f2f5; --focus: #0a58ca;
  --good: #1a7f37; --good-ink: #116329; --good-paper: #e2f6e7;
  --bad: #c4271b; --bad-ink: #9d1c12; --bad-paper: #fdeae8;
  --warn: #b07100; --warn-ink: #7a4a00; --warn-paper: #fdf1d3;
  --idle: #7a838d; --idle-ink: #4d565f; --idle-paper: #e9ecef;
  --p0: #3b6fb6; --p1: #7a5bb0; --p2: #b0568a; --p3: #b8743a; --p4: #5c8a4a; --p5: #3f8f97;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #0f1419; --card: #171d24; --ink: #e3e8ee; --quiet: #9aa5b1; --line: #2d3640; --link: #79b2ff;
    --code: #0d1217; --focus: #79b2ff;
    --good: #3fb950; --good-ink: #7ee2a0; --good-paper: #12291b;
    --bad: #f4695d; --bad-ink: #ffaba3; --bad-paper: #3a1715;
    --warn: #d9a02e; --warn-ink: #f0c66b; --warn-paper: #33260b;
    --idle: #87919c; --idle-ink: #b3bcc6; --idle-paper: #252d35;
    --p0: #6c9fe0; --p1: #a78be0; --p2: #dd86b6; --p3: #dca06a; --p4: #8cba78; --p5: #6bbfc7;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 5rem; }
body {
  margin: 0 auto; padding: 1.5rem 2rem 3rem; max-width: 80rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere;
}
[hidden] { display: none !important; }
h1, h2, h3, h4, p, dl, dd, ol, pre { margin: 0; padding: 0; }
h1 { font-size: 1.9rem; line-height: 1.2; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2rem 0 .8rem; }
h3 { font-size: 1rem; } h4 { font-size: .95rem; margin: 1.1rem 0 .5rem; }
a { color: var(--link); text-underline-offset: .15em; }
small { display: block; font-size: .8rem; color: var(--quiet); }
code, pre { font: .85rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.quiet, .ago, .made { color: var(--quiet); } .quiet { font-size: .9rem; }
.ago { font-size: .85em; white-space: nowrap; }
time { font-variant-numeric: tabular-nums; white-space: nowrap; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 3px; }
main:focus { outline: none; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; z-index: 3; background: var(--card); padding: .5rem 1rem; }
.away { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

/* A state: its word, its colour and its shape. */
.s {
  display: inline-flex; align-items: center; gap: .4em; padding: .1em .6em .1em .5em; border-radius: 1em;
  font-size: .75rem; font-weight: 650; letter-spacing: .02em; vertical-align: .08em;
}
.s::before, .strip i {
  content: ""; flex: none; width: .7em; height: .7em; background: currentColor; border-radius: 50%;
}
.s.good { color: var(--good-ink); background: var(--good-paper); }
.s.bad { color: var(--bad-ink); background: var(--bad-paper); }
.s.warn { color: var(--warn-ink); background: var(--warn-paper); }
.s.idle { color: var(--idle-ink); background: var(--idle-paper); }
.s.bad::before, .strip .bad {
  border-radius: 0; clip-path: polygon(50% 0, 100% 50%, 50% 100%, 0 50%); width: .85em; height: .85em;
}
.s.warn::before, .strip .warn {
  border-radius: 0; clip-path: polygon(50% 5%, 100% 95%, 0 95%); width: .8em; height: .8em;
}
.s.idle::before { background: none; border: 2px solid currentColor; }

header { display: grid; gap: 1.1rem; }
.brand { color: var(--quiet); font-size: .9rem; font-weight: 600; margin-bottom: .3rem; }
h1::before {
  content: ""; display: inline-block; width: .62em; height: .62em; margin-right: .45em; border-radius: 50%;
  background: var(--good);
}
h1.bad::before {
  background: var(--bad); border-radius: 0; clip-path: polygon(50% 0, 100% 50%, 50% 100%, 0 50%); width: .72em;
  height: .72em;
}
h1.warn::before { background: var(--warn); border-radius: 0; clip-path: polygon(50% 5%, 100% 95%, 0 95%); }
.made { margin-top: .35rem; }
.age:not(:empty) {
  margin-top: .7rem; padding: .5rem .8rem; border-radius: .4rem; background: var(--warn-paper);
  color: var(--warn-ink); font-weight: 600;
}
.strip { display: flex; flex-wrap: wrap; gap: .3rem; font-size: 1.05rem; }
.strip i { color: var(--good); }
.strip .bad { color: var(--bad); } .strip .warn { color: var(--warn); } .strip .idle { color: var(--idle); }
.strip i { width: .8em; height: .8em; border-radius: .2em; }
.strip .bad, .strip .warn { border-radius: 0; width: .8em; height: .8em; }
.figures small { font-weight: 400; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem; }
.figures div {
  background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .6rem .9rem;
  display: flex; flex-direction: column;
}
.figures dt { font-size: .85rem; color: var(--quiet); }
.figures dd { font-size: 1.35rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }

/* Problems. */
.none { padding: .9rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
.problem {
  background: var(--card); border: 1px solid var(--line); border-left: 5px solid var(--warn); border-radius: .6rem;
  padding: .9rem 1.1rem 1rem; margin-bottom: .8rem;
}
.problem.bad { border-left-color: var(--bad); }
.problem > * + * { margin-top: .5rem; }
.problem h3 { font-size: 1.05rem; }
.problem h3 .s { margin-right: .35rem; }
.where { font-weight: 400; color: var(--quiet); }
.why b { font-weight: 600; }
.advice { font-size: .95rem; }
pre {
  background: var(--code); border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem;
  white-space: pre-wrap;
}
.problem details pre { margin-top: .5rem; }
.cmd {
  display: flex; align-items: stretch; background: var(--code); border: 1px solid var(--line);
  border-radius: .4rem; overflow: hidden;
}
.cmd code { flex: 1; padding: .45rem .8rem; min-width: 0; white-space: pre-wrap; }
.copy {
  font: 600 .85rem/1 inherit; font-family: inherit; min-width: 4.8rem; min-height: 2.4rem; border: 0;
  border-left: 1px solid var(--line);
  background: var(--card); color: var(--link); cursor: pointer;
}
.copy:hover { background: var(--idle-paper); }
.cmd:focus-within { outline: 3px solid var(--focus); outline-offset: 1px; }
.copy:focus-visible { outline-offset: -4px; }
.other { border-top: 1px solid var(--line); margin-top: .8rem; padding-top: .2rem; }
.other > * + * { margin-top: .4rem; }
.other h4 { margin: .4rem 0 .2rem; }
summary { cursor: pointer; }
.problem summary { color: var(--link); font-size: .95rem; padding: .15rem 0; width: fit-content; }

/* Tables. */
table {
  width: 100%; border-collapse: separate; border-spacing: 0; background: var(--card);
  border: 1px solid var(--line); border-radius: .6rem; font-size: .93rem;
}
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { padding: .5rem .7rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { font-size: .8rem; font-weight: 600; color: var(--quiet); white-space: nowrap; vertical-align: bottom; }
tbody th { font-weight: 600; }
tbody tr:last-child > * { border-bottom: 0; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
tr.bad > * { background: color-mix(in srgb, var(--bad-paper) 45%, transparent); }
tr.warn > * { background: color-mix(in srgb, var(--warn-paper) 45%, transparent); }
td:first-child { width: 1%; white-space: nowrap; }

#tools { display: flex; flex-wrap: wrap; gap: .8rem 1.2rem; align-items: end; margin-top: 1.3rem; }
#tools fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem; }
#tools legend, #tools > label > span {
  font-size: .85rem; color: var(--quiet); padding: 0; display: block; margin-bottom: .2rem;
}
#q {
  font: inherit; width: 18rem; max-width: 100%; padding: .4rem .7rem; border: 1px solid var(--idle);
  border-radius: .4rem; background: var(--card); color: var(--ink);
}
#tools fieldset label {
  display: inline-flex; align-items: center; gap: .35rem; padding: .4rem .7rem; border: 1px solid var(--line);
  border-radius: .4rem; background: var(--card); cursor: pointer; min-height: 2.4rem;
}
#tools input[type=radio] { accent-color: var(--link); width: 1rem; height: 1rem; margin: 0; }
#found { padding: .45rem 0; color: var(--quiet); }

@media (min-width: 56.01rem) {
  .services td:nth-child(3) small, .services td:nth-child(5) small { display: inline; margin-left: .5em; }
}

/* Host by host. */
.host { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; margin-bottom: .6rem; }
details.host > summary { padding: .7rem 1rem; display: flex; flex-wrap: wrap; align-items: center; gap: .3rem .8rem; }
details.host > summary::before { content: "\25b8"; color: var(--quiet); width: .8em; }
details.host[open] > summary::before { content: "\25be"; }
details.host > summary::-webkit-details-marker { display: none; }
details.host[open] > summary { border-bottom: 1px solid var(--line); }
.host > :not(summary) { margin: .9rem 1rem; }
section.host { margin-top: 2rem; }
.host > h2 { margin-top: 1rem; }
.host table { width: calc(100% - 2rem); background: none; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 13rem), 1fr)); gap: .5rem 1.2rem;
  font-size: .93rem;
}
.facts dt { font-size: .8rem; color: var(--quiet); }
.runs { list-style: none; display: grid; gap: .9rem; }
.part h3, .part h4 { margin: 0 0 .6rem; }
.rest > summary { color: var(--link); padding: .4rem 0; width: fit-content; }
.rest > :not(summary) { margin-top: .4rem; }
#rollout + p { margin-bottom: .7rem; }
.runs p .s { margin-right: .2rem; }
.bar { display: block; width: 100%; height: .7rem; background: var(--code); border-radius: .2rem; margin: .35rem 0; }
#rollout + p { margin-bottom: .7rem; }
.rollout td:last-child { min-width: 12rem; width: 30%; }
.phases { display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .83rem; color: var(--quiet); }
.phases i { display: inline-block; width: .65em; height: .65em; border-radius: .15em; margin-right: .4em; }
.p0 { fill: var(--p0); }
.p1 { fill: var(--p1); }
.p2 { fill: var(--p2); }
.p3 { fill: var(--p3); }
.p4 { fill: var(--p4); }
.p5 { fill: var(--p5); }
i.p0 { background: var(--p0); }
i.p1 { background: var(--p1); }
i.p2 { background: var(--p2); }
i.p3 { background: var(--p3); }
i.p4 { background: var(--p4); }
i.p5 { background: var(--p5); }
.kgood { fill: var(--good); } .kbad { fill: var(--bad); } .kwarn { fill: var(--warn); } .kidle { fill: var(--idle); }
footer { margin-top: 2.5rem; color: var(--quiet); font-size: .85rem; }

@media (max-width: 56rem) {
  body { padding: 1rem 1rem 2.5rem; }
  h1 { font-size: 1.5rem; }
  .facts { grid-template-columns: 1fr 1fr; }
  .figures { grid-template-columns: 1fr 1fr; gap: .5rem; }
  .figures div:last-child:nth-child(odd) { grid-column: 1 / -1; }
  #q, #tools > label { width: 100%; }
  table, tbody, tr { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr {
    display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .35rem .8rem; padding: .7rem .9rem;
    border-bottom: 1px solid var(--line);
  }
  .services tr { grid-template-columns: 1.1fr .8fr .8fr 1.1fr; }
  .services td:nth-child(7) { grid-column: 1 / -1; }
  .services td:nth-child(7) small { display: inline; margin-left: .4em; }
  tbody tr:last-child { border-bottom: 0; }
  th, td, .n { display: block; padding: 0; border: 0; text-align: left; min-width: 0; }
  .e { display: none; }
  tr.bad > *, tr.warn > * { background: none; }
  tr.bad { background: color-mix(in srgb, var(--bad-paper) 45%, transparent); }
  tr.warn { background: color-mix(in srgb, var(--warn-paper) 45%, transparent); }
  tbody th { grid-row: 1; grid-column: 1 / -2; font-size: 1rem; }
  td:first-child { grid-row: 1; grid-column: -2 / -1; justify-self: end; width: auto; }
  td:not(:first-child)::before { display: block; font-size: .78rem; color: var(--quiet); }
  .services td:nth-child(3)::before { content: "State" / ""; }
  .services td:nth-child(4)::before { content: "Port" / ""; }
  .services td:nth-child(5)::before { content: "Health" / ""; }
  .services td:nth-child(6)::before { content: "Uptime" / ""; }
  .services td:nth-child(7)::before { content: "Restarts" / ""; }
  .hosts tr[data-kind=good] td:nth-child(n + 5) { display: none; }
  .timers td:nth-child(3)::before { content: "Schedule" / ""; }
  .timers td:nth-child(4)::before { content: "Last run" / ""; }
  .timers td:nth-child(5)::before { content: "Next" / ""; }
  .hosts td:nth-child(3)::before { content: "Services up" / ""; }
  .hosts td:nth-child(4)::before { content: "Release" / ""; }
  .hosts td:nth-child(5)::before { content: "Last run" / ""; }
  .hosts td:nth-child(6)::before { content: "Rollout" / ""; }
  .hosts td:nth-child(7)::before { content: "Last reached" / ""; }
  .rollout td:nth-child(3)::before { content: "Began" / ""; } .rollout td:nth-child(4)::before { content: "Took" / ""; }
  .rollout td:last-child { grid-column: 1 / -1; width: auto; }
  .host > :not(summary) { margin: .8rem .9rem; }
  .host table { width: auto; border-width: 1px 0; border-radius: 0; margin: .8rem 0 !important; }
}
@media (max-width: 26rem) {
  time { white-space: normal; }
  .facts { grid-template-columns: repeat(auto-fill, minmax(min(100%, 8.5rem), 1fr)); }
}
@media print {
  body { max-width: none; padding: 0; background: #fff; font-size: 10pt; }
  #tools, .copy, .skip, .age { display: none !important; }
  .problem, .host, tr { break-inside: avoid; }
  details.host { break-inside: auto; }
  a { color: inherit; text-decoration: none; }
}
"""
