const container = document.getElementById("redoc");
Redoc.init(container.dataset.source, { disableSearch: false, hideDownloadButton: true }, container);
