#include "core/report/drill_page.hpp"

namespace ark {

const char kDrillStyle[] = R"css(
:root{color-scheme:light dark;--bg:#f3f5f8;--card:#fff;--ink:#18212f;--soft:#566175;--line:#dde3ec;--accent:#2f5fd0;--good:#15803d;--good-bg:#e6f5eb;--bad:#b91c2c;--bad-bg:#fdeaec;--warn:#935d00;--warn-bg:#fdf3dc;--mute-bg:#eef1f6}
@media (prefers-color-scheme:dark){:root{--bg:#0f141c;--card:#18202c;--ink:#e7ecf4;--soft:#9aa7bb;--line:#2b3647;--accent:#7ba4ff;--good:#5ed08a;--good-bg:#14311f;--bad:#ff8592;--bad-bg:#3a1a20;--warn:#f0bf5b;--warn-bg:#362a10;--mute-bg:#212b3a}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1040px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:26px;line-height:1.25;margin:0 0 6px;letter-spacing:-.01em}
h2{font-size:17px;margin:0 0 12px}
h3{font-size:14px;margin:16px 0 6px}
p{margin:0 0 10px}
code,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.92em;overflow-wrap:anywhere}
.soft{color:var(--soft)}
header .brand{font-size:13px;color:var(--soft);text-transform:uppercase;letter-spacing:.08em;margin-bottom:10px}
.verdict{display:flex;gap:16px;align-items:flex-start;background:var(--card);border:1px solid var(--line);border-left:6px solid var(--good);border-radius:12px;padding:20px 22px;margin-bottom:16px}
.verdict.bad{border-left-color:var(--bad)}
.verdict .mark{flex:none;width:40px;height:40px;border-radius:50%;display:grid;place-items:center;font-size:22px;font-weight:700;background:var(--good-bg);color:var(--good)}
.verdict.bad .mark{background:var(--bad-bg);color:var(--bad)}
.verdict p{margin:0}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:14px;margin-bottom:16px}
.tile,section{background:var(--card);border:1px solid var(--line);border-radius:12px}
.tile{padding:14px 16px}
.tile b{display:block;font-size:23px;line-height:1.25;font-weight:650;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
.tile .name{font-size:13px;color:var(--soft)}
.tile .more{font-size:13px;color:var(--soft);margin-top:2px}
.tile.bad b{color:var(--bad)}.tile.good b{color:var(--good)}.tile.warn b{color:var(--warn)}
section{padding:20px 22px;margin-bottom:16px}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:16px}
.pair section{min-width:0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:6px 20px;margin:0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{font-size:13px;font-weight:600;color:var(--soft);text-align:left;border-bottom:1px solid var(--line);padding:6px 10px 6px 0;white-space:nowrap}
td{border-bottom:1px solid var(--line);padding:8px 10px 8px 0;vertical-align:top;overflow-wrap:anywhere}
tr:last-child>td{border-bottom:0}
.num{text-align:right;white-space:nowrap}.time{white-space:nowrap}table+p,.scroll+p{margin-top:12px}.chart+p{margin:8px 0 0}section>p:last-child{margin-bottom:0}
.badge{display:inline-block;padding:1px 9px;border-radius:99px;font-size:13px;font-weight:600;white-space:nowrap;background:var(--mute-bg);color:var(--soft)}
.badge.good{background:var(--good-bg);color:var(--good)}
.badge.bad{background:var(--bad-bg);color:var(--bad)}
.badge.warn{background:var(--warn-bg);color:var(--warn)}
.stack{display:flex;height:22px;border-radius:6px;overflow:hidden;background:var(--mute-bg);margin:4px 0 14px}
.stack i{display:block;min-width:1px}
.dot{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:9px}
.c0{background:#3b6fe0}.c1{background:#12a594}.c2{background:#8e6be8}.c3{background:#e0863b}.c4{background:#d9527a}.c5{background:#5a9e2f}.c6{background:#2a9bd1}.c7{background:#b08d1e}.c8{background:#8a94a6}
.bar{height:9px;border-radius:5px;background:var(--mute-bg);overflow:hidden;min-width:80px;margin-top:7px}
.bar i{display:block;height:100%;min-width:2px;border-radius:5px}
.chart{display:block;width:100%;height:auto}
.chart text{font-size:12px;fill:var(--soft);font-family:inherit}
.chart .grid{stroke:var(--line)}.chart .goal{stroke:var(--warn);stroke-dasharray:5 4;stroke-width:1.5}
.chart .goal-text{fill:var(--warn);paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
.chart .series{fill:none;stroke:var(--accent);stroke-width:2;opacity:.55}
.chart circle{fill:var(--accent)}.chart .now circle{stroke:var(--card);stroke-width:2}
.chart .bad path{fill:none;stroke:var(--bad);stroke-width:2.5}
.finding{border-left:4px solid var(--bad);padding:2px 0 2px 14px;margin:0 0 14px}
.finding p{margin:0}.finding .hint{color:var(--soft)}
.check{border-top:1px solid var(--line);padding-top:14px;margin-top:14px}
.check:first-of-type{border-top:0;margin-top:0;padding-top:0}
.samples{font-size:13px;background:var(--mute-bg);border-radius:8px;padding:4px 12px;margin:8px 0 0}
.samples td{padding:5px 14px 5px 0;white-space:pre-wrap}
ol,ul{margin:0;padding-left:22px}li{margin-bottom:6px}
.next{border-left:6px solid var(--accent)}
footer{font-size:13px;color:var(--soft)}
@media (max-width:760px){main{padding:18px 12px 32px}.tiles{grid-template-columns:1fr 1fr}.pair{grid-template-columns:1fr;gap:0}section,.verdict{padding:16px}h1{font-size:22px}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:9px}.wide{display:none}.goals th{display:none}.goals tr{display:block;border-bottom:1px solid var(--line);padding:10px 0}.goals tr:first-child{display:none}.goals td{display:block;border:0;padding:2px 0}.goals td[data-name]{display:flex;justify-content:space-between;gap:12px}.goals td[data-name]::before{content:attr(data-name);color:var(--soft)}.goals td:last-child{margin-bottom:4px}.tile b{font-size:20px}.chart text{font-size:15px}}
@media print{:root{color-scheme:light;--bg:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--accent:#1d4ed8;--good:#166534;--good-bg:#fff;--bad:#991b1b;--bad-bg:#fff;--warn:#7c4a00;--warn-bg:#fff;--mute-bg:#f2f2f2}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
body{font-size:11px}main{max-width:none;padding:0}section,.tile,.verdict{break-inside:avoid;border-radius:4px}section.long{break-inside:auto}h2,h3{break-after:avoid}tr,.finding{break-inside:avoid}.badge{border:1px solid currentColor}.scroll{overflow:visible}@page{margin:14mm}}
)css";

}  // namespace ark
