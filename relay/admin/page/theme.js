// Light, dark, or what the system says? Before anything is drawn, so that nothing flashes.
(() => {
  let theme = 'auto';
  try { theme = localStorage.getItem('sluice-theme') || 'auto'; } catch { /* storage is shut off */ }
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
})();
