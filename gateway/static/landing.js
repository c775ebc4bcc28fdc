// Where the published H5 looks for its token; the address with the token leaves the history.
const landing = document.getElementById("landing");
sessionStorage.setItem("Api-Token", landing.dataset.token);
enter();

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
