// For host pages: shows the chat in a frame and keeps its session alive. 供宿主页面嵌入对话页。
//   Chat2LLM.embed(element, { server: "https://chat.example.com", getToken: async () => "..." })
// getToken asks the host's own server for a new token. The page's origin must be one of the client's.
(() => {
  const [PATIENCE, RETRY] = [15_000, 30_000];

  function embed(element, { server, getToken }) {
    const base = new URL(server.replace(/\/*$/, "/"), location.href);
    const frame = document.createElement("iframe");
    frame.title = "Chat2LLM";
    frame.style.cssText = "border:0;width:100%;height:100%";
    let hidden = null; // the frame that brings a new session, while it does
    let [timer, renewAt] = [0, Infinity];
    let [openedAt, endsAt] = [-Infinity, -Infinity];

    async function load(target, query) {
      try {
        const token = encodeURIComponent(await getToken());
        target.src = `${new URL("sso", base)}?token=${token}${query}`;
      } catch (error) {
        console.error("Chat2LLM: getToken failed", error);
        renewAfter(RETRY);
      }
    }

    function open() {
      openedAt = Date.now();
      load(frame, "");
    }

    // The new session goes where the page in the visible frame looks for it, so that page stays.
    function renew() {
      const attempt = (hidden = document.createElement("iframe"));
      hidden.hidden = true;
      element.append(hidden);
      load(hidden, "&refresh=1");
      renewAfter(RETRY);
      setTimeout(() => {
        if (hidden !== attempt) return;
        dropHidden();
        if (Date.now() >= endsAt) open(); // perhaps there is something to ask the user
      }, PATIENCE);
    }

    function dropHidden() {
      hidden?.remove();
      hidden = null;
    }

    function renewAfter(milliseconds) {
      renewAt = Date.now() + milliseconds;
      clearTimeout(timer);
      timer = setTimeout(renewWhenDue, milliseconds);
    }

    function renewWhenDue() {
      const due = frame.isConnected && !hidden && Date.now() + 1000 > renewAt;
      if (due) endsAt > 0 ? renew() : open();
    }

    addEventListener("message", ({ origin, source, data }) => {
      const fromHidden = hidden !== null && source === hidden.contentWindow;
      if (origin !== base.origin || !(fromHidden || source === frame.contentWindow)) return;
      if (fromHidden) dropHidden();
      if (data.type === "chat2llm:signed-in") {
        endsAt = data.expires_at * 1000;
        const left = endsAt - Date.now();
        renewAfter(Math.max(left - Math.min(left / 4, 300_000), 1000));
      } else if (data.type === "chat2llm:signed-out" && !fromHidden) {
        if (Date.now() > openedAt + RETRY) open(); // a disabled user must not go round for ever
      }
    });
    document.addEventListener("visibilitychange", () => document.hidden || renewWhenDue());
    element.append(frame);
    open();
    return frame;
  }

  window.Chat2LLM = { embed };
})();
