// The page that embeds us may sign its user in again; nobody else is told.
const told = document.getElementById("signed-out").dataset.told.split(" ").filter(Boolean);
if (window.parent !== window) {
  for (const origin of [location.origin, ...told]) {
    window.parent.postMessage({ type: "chat2llm:signed-out" }, origin);
  }
}
