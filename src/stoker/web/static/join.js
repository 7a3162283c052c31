"use strict";
// The invitation's secret is in the fragment. It goes into the form, and out of the address bar and the history.
const code = decodeURIComponent(location.hash.slice(1));
if (code) {
  history.replaceState(null, "", location.pathname);
  document.getElementById("code").value = code;
  document.getElementById("join").submit();
}
