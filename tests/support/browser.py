"""A browser that looks at the dashboard: headless Chromium, driven through ChromeDriver.

    browser = Browser()
    browser.open(url)
    browser.until("h1", "All is well.")
"""
import json
import re
import shutil
import subprocess
from pathlib import Path

from support.waiting import TooLate, pause, wait_until

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "build/axe/node_modules/axe-core/axe.min.js"
DESK, PHONE = (1280, 900, False), (390, 844, True)
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions")


def why_no_browser():
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program):
            return f"no {program}"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "no python3-selenium"
    return None


def axe():
    """The text of axe-core, installed once with npm; None where there is neither."""
    if not AXE.exists() and shutil.which("npm"):
        folder = ROOT / "build/axe"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / "tests/data/axe" / name, folder)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, capture_output=True,
                       timeout=60, check=False)
    return AXE.read_text() if AXE.exists() else None


class Browser:
    def __init__(self):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for flag in FLAGS:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
        self.like()

    def like(self, size=DESK, dark=False):
        """From now on a screen of this size, in these colours."""
        width, height, mobile = size
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})

    def open(self, url):
        """As somebody does who comes for the first time."""
        self.driver.get("about:blank")
        self.driver.get_log("browser"), self.driver.get_log("performance")
        self.driver.get(url)
        self.js("sessionStorage.clear(); localStorage.clear()")
        self.driver.get("about:blank")
        self.driver.get(url)

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def go(self, where):
        self.js("location.hash = arguments[0]", where)

    def text(self, selector="body"):
        return self.js("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText).join('\\n')", selector)

    def until(self, selector, words, timeout=30.0):
        """Waits until what `selector` finds says `words`."""
        wait_until(lambda: words in self.text(selector), timeout,
                   lambda: f"{words!r} in {selector}: {self.text(selector)[:600]!r} of {self.text()[:1500]!r}", every=0.05)

    def press(self, words, within="body"):
        """Clicks the button or link that says `words`, once it can be clicked."""
        wait_until(lambda: self.js("""
            const [words, within] = arguments;
            const found = [...document.querySelectorAll(`${within} button, ${within} a`)]
              .find((e) => e.innerText.trim().startsWith(words) && !e.disabled && e.checkVisibility());
            if (found) found.click();
            return Boolean(found);""", words, within), 20, lambda: f"a button {words!r} in {self.text(within)[:800]!r}", every=0.05)

    def fill(self, name, value):
        wait_until(lambda: self.js("""
            const field = document.querySelector(`[name="${arguments[0]}"]`);
            if (field) field.value = arguments[1];
            return Boolean(field);""", name, value), 20, f"a field {name}", every=0.05)

    def keys(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains
        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self):
        return self.js("return (document.activeElement.innerText || document.activeElement.name || document.activeElement.id).trim()")

    def tab_to(self, words, most=120):
        """Presses Tab until what has the focus says `words`."""
        from selenium.webdriver.common.keys import Keys
        for _ in range(most):
            self.keys(Keys.TAB)
            if self.focused().startswith(words):
                return
        raise TooLate(f"Tab does not reach {words!r}")

    def complaints(self):
        """What the browser said on its console: broken policies, errors, files that are missing. An answer of the API
        that is an error is the page's to deal with."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if not re.search(r"/api/v1/\S* - Failed to load resource", entry["message"])]

    def requested(self):
        """URLs asked for since the page was opened."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def settle(self):
        """Lets the page draw what it has."""
        self.driver.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))")
        pause(0)

    def end(self):
        self.driver.quit()
