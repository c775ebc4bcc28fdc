// Where the published H5 looks for its token; the address with the token leaves the history.
const landing = document.getElementById("landing");
sessionStorage.setItem("Api-Token", landing.dataset.token);
location.replace(landing.dataset.home);
