// Who you are, and one question whose answer comes as a stream of bare JSON objects.
const element = (id) => document.getElementById(id);
const token = sessionStorage.getItem("Api-Token");
const identity = token ? { "Api-Token": token } : {};
const CITATION = /^出处 \[(\d+)\] \[(.+)\]\((\/api\/knowledge_base\/download_doc\?[^\s)]*)\) ?\n\n([\s\S]*)$/;
let asking = null;

start();

async function start() {
  element("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  element("stop").addEventListener("click", () => asking?.abort());
  element("question").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) element("ask").requestSubmit();
  });
  const user = token ? await readUser() : namedByCookie();
  if (user) {
    greet(user);
    element("talk").hidden = false;
    if (token) await listKnowledgeBases();
  }
}

async function readUser() {
  try {
    const response = await fetch("/api/user/info", { headers: identity });
    if (response.ok) return (await response.json()).data;
    if (response.status === 401) {
      sessionStorage.removeItem("Api-Token");
      return notSignedIn();
    }
    say(await readError(response));
  } catch {
    say("无法连接服务器。 The server cannot be reached.");
  }
  return null;
}

function namedByCookie() {
  const username = element("welcome").dataset.username;
  return username ? { username } : notSignedIn();
}

function notSignedIn() {
  element("who").hidden = true;
  element("login").hidden = false;
  return null;
}

function greet(user) {
  const name = document.createElement("strong");
  name.textContent = user.username;
  const heading = document.createElement("h1");
  heading.append("您好 Hello, ", name);
  const details = document.createElement("p");
  details.className = "small";
  details.textContent = user.user_id
    ? `用户 User ${user.user_id} · 客户端 Client ${user.client_id}`
    : "已登录 Signed in";
  element("who").replaceChildren(heading, details);
}

function say(text) {
  const line = document.createElement("p");
  line.className = "error";
  line.textContent = text;
  element("who").replaceChildren(line);
}

async function listKnowledgeBases() {
  const response = await fetch("/api/knowledge_base/list_knowledge_bases_v2", { headers: identity });
  if (!response.ok) return;
  for (const base of (await response.json()).data) {
    element("source").add(new Option(`知识库 · ${base.kb_zh_name || base.kb_name}`, base.kb_name));
  }
}

async function ask() {
  if (asking) return;
  asking = new AbortController();
  const answer = element("answer");
  const base = element("source").value;
  answer.textContent = "";
  answer.hidden = false;
  answer.className = "answer waiting";
  element("citations").hidden = true;
  element("send").disabled = true;
  element("stop").hidden = false;
  try {
    const response = await fetch(base ? "/api/chat/knowledge_base_chat" : "/api/chat/chat", {
      method: "POST",
      headers: { "Content-Type": "application/json", ...identity },
      body: JSON.stringify({
        query: element("question").value,
        stream: true,
        ...(base && { knowledge_base_name: base }),
      }),
      signal: asking.signal,
    });
    if (response.ok) await showStream(response);
    else fail(await readError(response));
  } catch (error) {
    if (error.name !== "AbortError") fail("连接中断。 The connection broke.");
  } finally {
    asking = null;
    answer.classList.remove("waiting");
    element("send").disabled = false;
    element("stop").hidden = true;
  }
}

function fail(text) {
  element("answer").textContent += text;
  element("answer").classList.add("error");
}

async function readError(response) {
  const text = await response.text();
  try {
    const body = JSON.parse(text);
    return typeof body.detail === "string" ? body.detail : body.msg || text;
  } catch {
    return text || `HTTP ${response.status}`;
  }
}

async function showStream(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const [objects, left] = takeObjects(rest + value);
    rest = left;
    objects.forEach(show);
  }
}

function show(object) {
  if (Array.isArray(object.docs)) cite(object.docs);
  if (object.code && object.code !== 200) fail(object.msg);
  element("answer").textContent += object.text ?? object.answer ?? "";
}

// Whole objects from the front of the text; what is not whole yet stays.
function takeObjects(text) {
  const objects = [];
  let depth = 0;
  let inString = false;
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (inString) {
      if (character === "\\") at += 1;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === "{") depth += 1;
    else if (character === "}" && --depth === 0) {
      objects.push(JSON.parse(text.slice(from, at + 1)));
      from = at + 1;
    }
  }
  return [objects, text.slice(from)];
}

function cite(docs) {
  const list = element("citations");
  list.replaceChildren(list.firstElementChild, ...docs.map(citation));
  list.hidden = docs.length === 0;
}

function citation(doc) {
  const parts = CITATION.exec(doc);
  const box = document.createElement("details");
  const title = document.createElement("summary");
  const passage = document.createElement("p");
  if (parts) {
    const link = document.createElement("a");
    link.href = parts[3];
    link.textContent = parts[2];
    title.append(`[${parts[1]}] `, link);
    passage.textContent = parts[4].trim();
  } else {
    title.textContent = doc.replace(/<[^>]*>/g, "").trim();
  }
  box.append(title, passage);
  return box;
}
