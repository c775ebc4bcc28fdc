// Swagger UI on one document; a sign-in's token goes with every call that brings none itself.
const container = document.getElementById("swagger");
const token = sessionStorage.getItem("Api-Token");

if (token) {
  document.getElementById("who").textContent = "（已登录 Signed in）";
}

SwaggerUIBundle({
  url: container.dataset.source,
  domNode: container,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  requestInterceptor: (request) => {
    const own = new URL(request.url, location.href).origin === location.origin;
    const names = Object.keys(request.headers || {}).map((name) => name.toLowerCase());
    if (token && own && !names.includes("api-token") && !names.includes("authorization")) {
      request.headers["Api-Token"] = token;
    }
    return request;
  },
});
