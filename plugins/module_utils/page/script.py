# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The program of the page. It says how long ago things were, copies and searches; all can be read without it."""

from __future__ import annotations

SCRIPT = r"""
'use strict';
(function () {
  var all = function (what, within) { return Array.prototype.slice.call((within || document).querySelectorAll(what)); };
  var by = function (id) { return document.getElementById(id); };

  // How long ago.
  var units = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  function words(seconds) {
    var whole = Math.max(0, Math.round(seconds));
    for (var i = 0; i < units.length - 1; i++) {
      if (whole >= units[i][0]) {
        var rest = Math.floor(whole % units[i][0] / units[i + 1][0]);
        var smaller = rest && i < 2 ? ' ' + rest + ' ' + units[i + 1][1] : '';
        return Math.floor(whole / units[i][0]) + ' ' + units[i][1] + smaller;
      }
    }
    return whole + ' s';
  }
  var times = all('time').map(function (one) {
    var told = document.createElement('span');
    told.className = 'ago';
    one.after(told);
    return [Date.parse(one.dateTime) / 1000, told];
  });
  var made = all('#made time').map(function (one) { return Date.parse(one.dateTime) / 1000; })[0];
  function tick() {
    var now = Date.now() / 1000;
    times.forEach(function (one) {
      var away = now - one[0];
      one[1].textContent = away >= 0 ? ' ' + words(away) + ' ago' : ' in ' + words(-away);
    });
    var old = made && now - made > 900;
    var age = by('age');
    var told = old ? 'This page is ' + words(now - made) + ' old. Things may be otherwise by now.' : '';
    if (age && age.textContent !== told) { age.textContent = told; }
  }
  tick();
  setInterval(tick, 30000);

  // A command in one click. Where the page came without TLS, the browser has no clipboard for it.
  function copy(text) {
    if (navigator.clipboard && window.isSecureContext) { return navigator.clipboard.writeText(text); }
    return new Promise(function (done, failed) {
      var box = document.createElement('textarea');
      box.value = text;
      box.className = 'away';
      document.body.append(box);
      box.select();
      var copied = document.execCommand('copy');
      box.remove();
      if (copied) { done(); } else { failed(); }
    });
  }
  all('.copy').forEach(function (button) {
    var code = button.previousElementSibling;
    button.hidden = false;
    button.setAttribute('aria-label', 'Copy: ' + code.textContent);
    button.addEventListener('click', function () {
      var say = function (word) {
        button.textContent = word;
        by('said').textContent = word;
        setTimeout(function () { button.textContent = 'Copy'; }, 2000);
      };
      copy(code.textContent).then(function () { say('Copied'); }, function () {
        var range = document.createRange();
        range.selectNodeContents(code);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        say('Selected');
      });
    });
  });

  // A link to something that is folded up unfolds it.
  function unfold() {
    var there = location.hash.length > 1 && by(decodeURIComponent(location.hash.slice(1)));
    if (!there || there.tagName !== 'DETAILS') { return; }
    for (var above = there; above; above = above.parentElement.closest('details')) { above.open = true; }
    there.scrollIntoView();
  }
  addEventListener('hashchange', unfold);
  unfold();
  addEventListener('beforeprint', function () { all('details').forEach(function (one) { one.open = true; }); });

  // Search and filter.
  var tools = by('tools');
  if (!tools) { return; }
  tools.hidden = false;
  tools.addEventListener('submit', function (event) { event.preventDefault(); });
  var things = all('[data-kind]').map(function (one) {
    var well = /good|idle/.test(one.dataset.kind);
    return { it: one, text: one.textContent.toLowerCase(), well: well, row: one.tagName === 'TR' };
  });
  var hosts = things.filter(function (one) { return one.row; });
  function narrow() {
    var wanted = by('q').value.trim().toLowerCase();
    var show = tools.elements.show.value;
    things.forEach(function (one) {
      one.seen = one.text.indexOf(wanted) >= 0 && (show === 'all' || (show === 'well') === one.well);
    });
    // A host is found by what it has as well: its row says less than its details.
    hosts.forEach(function (one) {
      var name = all('a', one.it)[0].hash.slice(1);
      var details = things.filter(function (other) { return other.it.id === name; })[0];
      if (details) { one.seen = details.seen = one.seen || details.seen; }
    });
    things.forEach(function (one) { one.it.hidden = !one.seen; });
    // Those that are well are folded up together, and what was found is to be seen.
    if (wanted) { all('#details + .rest, #details ~ .rest').forEach(function (one) { one.open = true; }); }
    var number = hosts.filter(function (one) { return one.seen; }).length;
    var told = wanted || show !== 'all' ? number + ' of ' + hosts.length + ' hosts shown' : '';
    by('found').textContent = told;
  }
  tools.addEventListener('input', narrow);
  narrow();
})();
"""
