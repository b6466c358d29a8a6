package edges_test

import "testing"

// cases are the edge cases that are shown here, by the number and the name they have in the document.
var cases = []struct {
	name string
	test func(*testing.T)
}{
	{"01_create_times_out_after_the_commit", createTimesOutAfterTheCommit},
	{"02_edit_while_a_create_is_ambiguous", editWhileACreateIsAmbiguous},
	{"02_edit_while_an_update_is_in_flight", editWhileAnUpdateIsInFlight},
	{"02_edit_while_an_update_is_in_doubt", editWhileAnUpdateIsInDoubt},
	{"03_day_old_create_is_looked_for_before_another_is_sent", dayOldCreateIsLookedFor},
	{"04_saved_failure_of_a_create", savedFailureOfACreate},
	{"05_created_event_overtakes_its_answer", createdEventOvertakesItsAnswer},
	{"06_created_event_of_our_own_create", createdEventOfOurOwnCreate},
	{"07_echo_of_our_own_update", echoOfOwnUpdate},
	{"07_echo_that_carries_a_foreign_change", echoWithForeignChange},
	{"08_two_updates_in_one_second_told_in_reverse", twoUpdatesInOneSecond},
	{"09_event_of_the_day_before_yesterday", eventOfTheDayBeforeYesterday},
	{"10_same_event_again", sameEventAgain},
	{"11_two_events_for_one_change", twoEventsForOneChange},
	{"12_both_sides_edit_different_fields", bothSidesEditDifferentFields},
	{"13_both_sides_edit_the_same_field", bothSidesEditTheSameField},
	{"13_both_sides_edit_a_field_on_hold", bothSidesEditAFieldOnHold},
	{"14_values_that_a_provider_normalises", valuesThatAProviderNormalises},
	{"15_deleted_there_while_an_update_waits", deletedThereWhileAnUpdateWaits},
	{"16_archived_here_while_an_event_is_on_its_way", archivedHereWhileAnEventIsOnItsWay},
	{"17_delete_is_repeated", deleteIsRepeated},
	{"18_delete_is_for_good", deleteIsForGood},
	{"16_delete_in_every_order", deleteInEveryOrder},
	{"19_deleted_is_told_before_updated_and_created", deletedIsToldFirst},
	{"20_same_email_is_not_the_same_customer", sameEmail},
	{"21_two_workers_create_the_same_customer", twoWorkersCreate},
	{"22_another_app_was_first", anotherAppWasFirst},
	{"23_blank_name_over_there", blankNameOverThere},
	{"24_cleared_fields", clearedFields},
	{"25_over_long_fields", overLongFields},
	{"26_metadata_of_others", metadataOfOthers},
	{"27_metadata_that_does_not_fit", metadataThatDoesNotFit},
	{"28_bad_email", badEmail},
	{"29_event_of_the_other_mode", otherMode},
	{"30_event_of_a_connected_account", otherAccount},
	{"31_two_endpoints_with_one_url", twoEndpointsOneURL},
	{"32_secret_rotation", secretRotation},
	{"33_clocks_apart", clocksApart},
	{"34_event_of_a_newer_version", newerVersion},
	{"35_events_that_nobody_knows", unknownEvents},
	{"38_revoked_key", revokedKey},
	{"38_key_of_another_account", keyOfAnotherAccount},
	{"39_rate_limits", rateLimits},
	{"40_answer_that_cannot_be_read", answerThatCannotBeRead},
}

func TestEdge(t *testing.T) {
	t.Parallel()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t)
		})
	}
}
