// Where the published H5 looks for its token; the address with the token leaves the history.
const landing = document.getElementById("landing");
const framed = window.parent !== window;
const refreshes = framed && new URLSearchParams(location.search).get("refresh") === "1";
history.replaceState(null, "", location.pathname);
sessionStorage.setItem("Api-Token", landing.dataset.token);
if (framed) tell();
if (!refreshes) enter();

// The page that embeds us learns when to bring a new token; nobody else is told.
function tell() {
  const expires_at = Math.floor(Date.now() / 1000) + Number(landing.dataset.seconds);
  for (const origin of [location.origin, ...landing.dataset.told.split(" ").filter(Boolean)]) {
    window.parent.postMessage({ type: "chat2llm:signed-in", expires_at }, origin);
  }
}

async function enter() {
  // The gateway does not know of an H5 that a proxy in front of it serves.
  const served = landing.dataset.home === "/welcome" && (await hasPage("/home"));
  location.replace(served ? "/home" : landing.dataset.home);
}

async function hasPage(path) {
  try {
    return (await fetch(path, { headers: { Accept: "text/html" } })).ok;
  } catch {
    return false;
  }
}
