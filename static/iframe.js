// In a frame of `transport=iframe`: what the server writes calls these, and they call `Orbited.event` of the page around it.
function e(data) { parent.Orbited.event(data); }
function p() {}
function reload() { setTimeout(function () { location.reload(); }, 1000); }
