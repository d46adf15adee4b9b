// Plays a page in Chromium and prints what happened, one JSON object per line.
//
//   node play.mjs MODULES MODE URL SECONDS
//
// MODE is `page` (a plain page that plays by itself) or `watch` (weir's own page: clicked,
// and its message reported). Ends with status 0 once SECONDS were played.
import { createRequire } from 'node:module';

const [modules, mode, url, seconds] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)('playwright-core');
const say = (event, more) => console.log(JSON.stringify({ event, ...more }));

const args = ['--no-sandbox', '--mute-audio'];
// On weir's page the click alone has to be enough.
if (mode === 'page') args.push('--autoplay-policy=no-user-gesture-required');
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args });
let played = false;
try {
  const page = await browser.newPage();
  page.on('console', (m) => { if (m.type() === 'error') say('console', { text: m.text() }); });
  page.on('pageerror', (e) => say('pageerror', { text: String(e) }));
  await page.goto(url);
  if (mode === 'watch') {
    await page.click('button');
    await page.waitForFunction(() => document.getElementById('status').textContent.includes('…'));
    // The text that stands there once the server was asked.
    await page.waitForTimeout(1500);
    say('message', { text: await page.textContent('#status') });
  }
  const end = Date.now() + 45000;
  let state = {};
  while (Date.now() < end) {
    state = await page.evaluate(() => {
      const video = document.querySelector('video');
      const quality = video.getVideoPlaybackQuality();
      return {
        time: video.currentTime,
        width: video.videoWidth,
        frames: quality.totalVideoFrames,
        dropped: quality.droppedVideoFrames,
        videoBytes: video.webkitVideoDecodedByteCount,
        audioBytes: video.webkitAudioDecodedByteCount,
        error: video.error && video.error.message,
        fatal: window.fatal || null,
        stalls: window.stalls || 0,
        parts: window.parts || 0,
        latency: window.latency ? window.latency() : null,
        status: document.getElementById('status')?.textContent ?? null,
        // Seconds that were played, jumps left out.
        ran: [...Array(video.played.length).keys()]
          .reduce((sum, i) => sum + video.played.end(i) - video.played.start(i), 0),
        dateRanges: Object.values(window.hls?.levels?.[0]?.details?.dateRanges ?? {}).map((r) => ({
          ...r.attr, valid: r.isValid, start: r.startDate.getTime(), seconds: r.duration,
        })),
      };
    });
    if (state.ran > Number(seconds) || state.fatal) break;
    await page.waitForTimeout(100);
  }
  played = state.ran > Number(seconds) && !state.fatal;
  say('played', state);
} finally {
  await browser.close();
}
process.exitCode = played ? 0 : 1;
