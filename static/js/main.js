// Behaviours that any page may use, one file each. Markup asks for them by data- attributes; none is needed to use
// the pages.

import { heedAnswers } from "./answers.js";
import { listenForCopies } from "./copy.js";
import { listenForDialogs } from "./confirm.js";
import { keepFocus } from "./focus.js";
import { sparePolling } from "./live.js";
import { listenForMenus } from "./menus.js";
import { listenForMessages } from "./messages.js";
import { renewPlayers } from "./player.js";
import { ignoreSecondClicks } from "./steady.js";
import { localTimes } from "./times.js";

document.documentElement.classList.add("has-script");

heedAnswers();
ignoreSecondClicks();
listenForCopies();
listenForDialogs();
listenForMenus();
listenForMessages();
keepFocus();
renewPlayers();
sparePolling();
localTimes();
