# %% [markdown]
# # network_in_ten_lines

# %%
print(1)
