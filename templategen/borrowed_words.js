// Words of the administration's own scripts (Django's) that have no Chinese there: for the catalogue only, as
// borrowed_words.py. No page loads this.

gettext("Choose %s by selecting them and then select the \"Choose\" arrow button.");
gettext("Remove %s by selecting them and then select the \"Remove\" arrow button.");
gettext("Choose all %s");
gettext("Choose selected %s");
gettext("Remove all %s");
gettext("Remove selected %s");
gettext("(click to clear)");
