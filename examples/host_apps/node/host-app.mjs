// A whole host app: two employees log in here and chat there, without a second login. Node.js alone.
//
//   node host-app.mjs --client-id 2 --private-key private.pem
//                     [--kid ID] [--chat http://127.0.0.1:7861] [--port 3000]
//
// Then open http://127.0.0.1:3000. The client must have this page's origin among its own.

import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import { parseArgs } from "node:util";
import { mintV2 } from "./mint-token.mjs";

const { values: options } = parseArgs({
  options: {
    "client-id": { type: "string" },
    "private-key": { type: "string" },
    kid: { type: "string" },
    chat: { type: "string", default: "http://127.0.0.1:7861" },
    port: { type: "string", default: "3000" },
  },
});
if (!options["client-id"] || !options["private-key"]) {
  console.error("usage: node host-app.mjs --client-id ID --private-key FILE");
  process.exit(1);
}
const privateKey = fs.readFileSync(options["private-key"], "utf8");

// Where a real app has its users and passwords, this one has two employees and believes them.
const employees = new Map([
  ["zhang.san", { name: "张三", groups: ["sales"] }],
  ["li.si", { name: "李四", groups: ["sales", "support"] }],
]);
const sessions = new Map(); // what the cookie holds -> user id

const routes = {
  "GET /": (user, answer) => page(answer, user ? home(user) : login()),
  "POST /login": async (_, answer, request) => {
    const user = new URLSearchParams(await body(request)).get("user");
    if (!employees.has(user)) return redirect(answer, "/");
    const session = crypto.randomBytes(32).toString("hex");
    sessions.set(session, user);
    answer.setHeader("Set-Cookie", `host_session=${session}; Path=/; HttpOnly; SameSite=Lax`);
    redirect(answer, "/");
  },
  // By link: the token is minted when the user clicks, and is in no page.
  "GET /chat": (user, answer) =>
    redirect(answer, user ? `${options.chat}/sso?token=${encodeURIComponent(mint(user))}` : "/"),
  // For the frame: a token now, and another whenever the chat's session comes to its end.
  "POST /token": (user, answer) => {
    answer.writeHead(user ? 200 : 401, { "Content-Type": "text/plain", "Cache-Control": "no-store" });
    answer.end(user ? mint(user) : "log in first");
  },
};

function mint(user) {
  const { name, groups } = employees.get(user);
  return mintV2(options["client-id"], privateKey, user, name, { groups, kid: options.kid });
}

const login = () => `<h1>Who are you?</h1>
  <form method="post" action="/login">${[...employees]
    .map(([id, { name }]) => `<button name="user" value="${id}">${name}</button>`)
    .join(" ")}</form>`;

const home = (user) => `<h1>${employees.get(user).name}</h1>
  <p><a href="/chat">Open the chat in this window</a></p>
  <div id="chat" style="height:70vh;border:1px solid #ccc"></div>
  <script src="${options.chat}/static-gateway/embed.js"></script>
  <script>
    Chat2LLM.embed(document.getElementById("chat"), {
      server: "${options.chat}",
      getToken: async () => {
        const answer = await fetch("/token", { method: "POST" });
        if (!answer.ok) throw new Error("log in again");
        return answer.text();
      },
    });
  </script>`;

function page(answer, content) {
  answer.writeHead(200, { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store" });
  answer.end(`<!doctype html><meta charset="utf-8"><title>Host app</title>${content}`);
}

function redirect(answer, target) {
  answer.writeHead(303, { Location: target, "Cache-Control": "no-store" });
  answer.end();
}

async function body(request) {
  let text = "";
  for await (const chunk of request) if ((text += chunk).length > 1000) break;
  return text;
}

http
  .createServer(async (request, answer) => {
    const session = /(?:^|; )host_session=(\w+)/.exec(request.headers.cookie ?? "")?.[1];
    const path = new URL(request.url, "http://host").pathname;
    const route = routes[`${request.method} ${path}`];
    if (!route) return answer.writeHead(404).end();
    await route(sessions.get(session), answer, request);
  })
  .listen(Number(options.port), "127.0.0.1", function () {
    console.log(`Open http://127.0.0.1:${this.address().port}`);
  });
